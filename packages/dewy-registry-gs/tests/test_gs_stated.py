"""What the store states of an object, and what only looks like it."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy_registry_gs.stated import crc32c_of, fingerprint_of, md5_of, modified_of, size_of

CONTENT = b"the bytes of an artifact"


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def test_fields_of_the_api_are_read() -> None:
    """As Google documents them."""
    fields = {
        "size": "24",
        "generation": "1710513022000123",
        "md5Hash": b64(hashlib.md5(CONTENT).digest()),
        "crc32c": b64(google_crc32c.value(CONTENT).to_bytes(4, "big")),
        "updated": "2024-03-15T14:30:22.123Z",
    }
    assert size_of(fields) == 24
    assert fingerprint_of(fields) == "1710513022000123"
    assert md5_of(fields) == f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    assert crc32c_of(fields) == google_crc32c.value(CONTENT)
    assert modified_of(fields) == datetime(2024, 3, 15, 14, 30, 22, 123000, UTC)


def test_numbers_may_be_numbers() -> None:
    assert size_of({"size": 0}) == 0
    assert fingerprint_of({"generation": 7}) == "7"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"size": "-1", "generation": "", "md5Hash": "not base64", "crc32c": "AAAA", "updated": "yesterday"},
        {"size": "1e3", "generation": "٣", "md5Hash": b64(bytes(15)), "crc32c": b64(bytes(5)), "updated": "2024-03-15"},
        {"size": None, "generation": True, "md5Hash": None, "crc32c": 7, "updated": None},
        {"size": [], "generation": {}, "md5Hash": ["a"], "crc32c": {}, "updated": 1},
        {"size": "9" * 5000, "generation": "1.5", "md5Hash": "ä", "crc32c": "", "updated": "2024-03-15T14:30:22"},
    ],
)
def test_anything_else_is_as_if_it_were_not_there(fields: dict[str, object]) -> None:
    """Or a good artifact would be refused, or a hostile answer end the poll with a traceback."""
    assert [read(fields) for read in (size_of, fingerprint_of, md5_of, crc32c_of, modified_of)] == [None] * 5


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())


@given(st.dictionaries(st.sampled_from(["size", "generation", "md5Hash", "crc32c", "updated"]), anything))
def test_no_field_can_make_it_fail(fields: dict[str, object]) -> None:
    size, digest, modified = size_of(fields), md5_of(fields), modified_of(fields)
    assert size is None or size >= 0
    assert digest is None or len(digest) == len("md5:") + 32
    assert modified is None or modified.tzinfo
    fingerprint_of(fields)
    crc32c_of(fields)


@given(st.binary(min_size=16, max_size=16))
def test_every_digest_is_read(digest: bytes) -> None:
    assert md5_of({"md5Hash": b64(digest)}) == f"md5:{digest.hex()}"
