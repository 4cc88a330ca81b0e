"""What counts as a digest of the bytes, and what only looks like one."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest

from dewy.types import Stated
from dewy_registry_s3.stated import stated_of

CONTENT = b"the bytes of an artifact"
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA1, SHA256 = hashlib.sha1(CONTENT), hashlib.sha256(CONTENT)
CRC32 = zlib.crc32(CONTENT).to_bytes(4, "big")


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def test_everything_that_dewy_can_check_is_stated() -> None:
    answer = {
        "ContentLength": len(CONTENT),
        "ETag": f'"{MD5}"',
        "ChecksumSHA256": b64(SHA256.digest()),
        "ChecksumSHA1": b64(SHA1.digest()),
        "ChecksumCRC32": b64(CRC32),
        "ChecksumCRC64NVME": b64(bytes(8)),
        "ChecksumType": "FULL_OBJECT",
    }
    assert stated_of("releases", answer) == Stated(
        len(CONTENT),
        (f"sha256:{SHA256.hexdigest()}", f"sha1:{SHA1.hexdigest()}", f"crc32:{CRC32.hex()}", f"md5:{MD5}"),
    )


@pytest.mark.parametrize(
    ("bucket", "answer"),
    [
        ("releases", {"ETag": f'"{MD5}-4"'}),
        ("releases", {"ETag": f'"{MD5.upper()}"'}),
        ("releases", {"ETag": '""'}),
        ("releases", {}),
        ("releases", {"ETag": f'"{MD5}"', "ServerSideEncryption": "aws:kms"}),
        ("releases", {"ETag": f'"{MD5}"', "ServerSideEncryption": "aws:kms:dsse"}),
        ("releases", {"ETag": f'"{MD5}"', "SSECustomerAlgorithm": "AES256"}),
        ("releases--use1-az4--x-s3", {"ETag": f'"{MD5}"'}),
        ("releases", {"ChecksumSHA256": b64(SHA256.digest()) + "-2"}),
        ("releases", {"ChecksumCRC32": b64(CRC32), "ChecksumType": "COMPOSITE"}),
        ("releases", {"ChecksumSHA256": b64(SHA1.digest())}),
        ("releases", {"ChecksumSHA256": "not base64 at all"}),
        ("releases", {"ChecksumSHA256": "ä"}),
    ],
)
def test_what_only_looks_like_a_digest_is_not_stated(bucket: str, answer: dict[str, Any]) -> None:
    """Or a good artifact would be refused."""
    assert stated_of(bucket, answer).digests == ()


def test_etag_of_an_object_encrypted_by_the_store_is_its_md5() -> None:
    """With the store's own key (SSE-S3), the default at Amazon."""
    answer = {"ETag": f'"{MD5}"', "ServerSideEncryption": "AES256"}
    assert stated_of("releases", answer).digests == (f"md5:{MD5}",)
