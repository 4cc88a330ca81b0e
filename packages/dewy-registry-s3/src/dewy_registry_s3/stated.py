"""What S3 states of an object's bytes. Pure.

An ETag is the MD5 of the bytes only if the object came in one part and is not encrypted with a key of its own (Amazon's
"Checking object integrity"). A checksum is that of the bytes only if it is of the full object: that of an object in parts is
a checksum of checksums.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dewy.types import Stated

__all__ = ["stated_of"]

_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_DIRECTORY_BUCKET = "--x-s3"
_PLAIN_ENCRYPTION = (None, "AES256")

_CHECKSUMS = {"ChecksumSHA256": ("sha256", 32), "ChecksumSHA1": ("sha1", 20), "ChecksumCRC32": ("crc32", 4)}
"""Those that dewy can check: the field, the algorithm, its size in bytes."""


def stated_of(bucket: str, answer: Mapping[str, Any]) -> Stated:
    """Size and digests from the fields of a ``GetObject`` or ``HeadObject`` answer for the whole object.

    Args:
        bucket: The bucket's name: in directory buckets no ETag is a digest.
        answer: The fields, by the SDK's names.
    """
    return Stated(answer.get("ContentLength"), (*_checksums(answer), *_md5(bucket, answer)))


def _checksums(answer: Mapping[str, Any]) -> Iterator[str]:
    if answer.get("ChecksumType") == "COMPOSITE":
        return
    for field, (algorithm, size) in _CHECKSUMS.items():
        try:
            value = base64.b64decode(answer.get(field, ""), validate=True)
        except (binascii.Error, ValueError):
            continue  # "…-4": of an object in four parts
        if len(value) == size:
            yield f"{algorithm}:{value.hex()}"


def _md5(bucket: str, answer: Mapping[str, Any]) -> Iterator[str]:
    etag = str(answer.get("ETag", "")).strip('"')
    own_key = answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption") not in _PLAIN_ENCRYPTION
    if _MD5.match(etag) and not own_key and not bucket.endswith(_DIRECTORY_BUCKET):
        yield f"md5:{etag}"
