"""What an answer states of the bytes it brings: their size and their digests. Pure.

Only fields whose meaning is fixed: ``Repr-Digest`` and ``Content-Digest`` (RFC 9530), ``Digest`` (RFC 3230),
``Content-MD5`` (RFC 1864), and ``X-Checksum-*``, which artifact repositories send. An ETag is no digest.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping

__all__ = ["digests"]

_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}
_NAMES = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
_STRUCTURED = re.compile(r"([a-z0-9-]+)=:([A-Za-z0-9+/=]*):")
_PLAIN = re.compile(r"([A-Za-z0-9-]+)=([A-Za-z0-9+/]+={0,2})")
_HEX = re.compile(r"[0-9a-fA-F]+\Z")


def digests(headers: Mapping[str, str], *, whole: bool) -> tuple[str, ...]:
    """The digests of the whole file, each ``ALGORITHM:HEX``; what cannot be read is passed over.

    Args:
        headers: The answer's.
        whole: The answer brings the whole file. Of a part, the digests of the body say nothing about the whole.
    """
    found = [*_encoded(_STRUCTURED, headers.get("repr-digest", "")), *_encoded(_PLAIN, headers.get("digest", ""))]
    if whole:
        found += _encoded(_STRUCTURED, headers.get("content-digest", ""))
        found += _encoded(_PLAIN, f"md5={headers.get('content-md5', '').strip()}")
    found += _checksums(headers)
    return tuple(dict.fromkeys(found))


def _encoded(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for name, value in pattern.findall(text):
        algorithm = _NAMES.get(name.lower())
        try:
            raw = b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
        if algorithm and len(raw) == _BYTES[algorithm]:
            yield f"{algorithm}:{raw.hex()}"


def _checksums(headers: Mapping[str, str]) -> Iterator[str]:
    for algorithm, size in _BYTES.items():
        value = headers.get(f"x-checksum-{algorithm}", "").strip()
        if len(value) == 2 * size and _HEX.match(value):
            yield f"{algorithm}:{value.lower()}"
