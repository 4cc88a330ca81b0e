"""Downloading an object: every byte, once, in order, or an error that says how far it came."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dewy.errors import ArtifactError
from dewy.objectstore import Fault, ObjectArtifact, ObjectReader, ObjectStoreError, Sink
from dewy.testing.failures import check_sentence
from dewy.testing.streams import WriteOnly
from dewy.types import Stated
from object_buckets import BROKE_OFF, Bucket

MEBIBYTE = 1 << 20
CONTENT = os.urandom(4 * MEBIBYTE)


@pytest.fixture
def bucket() -> Bucket:
    bucket = Bucket("releases")
    bucket.put("app", CONTENT)
    return bucket


class ReadingBucket(Bucket):
    """One whose objects are read by a function of the test."""

    def __init__(self, size: int | None, read: Callable[[int, Sink], None]) -> None:
        super().__init__("releases")
        self._size, self._read = size, read

    def open(self, key: str) -> ObjectReader:
        return _ReadBy(Stated(self._size), self._read)


class _ReadBy:
    def __init__(self, stated: Stated, read: Callable[[int, Sink], None]) -> None:
        self.stated, self.read = stated, read


def download(bucket: Bucket, pauses: list[float] | None = None, to: WriteOnly | None = None) -> bytes:
    to = to or WriteOnly()
    wait: Callable[[float], None] = (lambda _: None) if pauses is None else pauses.append
    ObjectArtifact(bucket, "app", wait).download(to.as_binary_io())
    return to.content


def failure(call: Callable[[], object]) -> ArtifactError:
    with pytest.raises(ArtifactError) as raised:
        call()
    check_sentence(raised.value)
    return raised.value


def test_a_cut_transfer_is_taken_up_where_it_stopped(bucket: Bucket) -> None:
    """As often as it brings a good piece: a try that did is no reason to wait longer."""
    bucket.cuts["app"], pauses = 3, list[float]()
    assert download(bucket, pauses) == CONTENT
    assert bucket.reads == [0, 2 * MEBIBYTE, 3 * MEBIBYTE, 3 * MEBIBYTE + MEBIBYTE // 2]
    assert all(0.125 <= pause <= 0.25 for pause in pauses[:2])
    assert len(pauses) == 3


def test_a_long_download_over_a_bad_line_ends(bucket: Bucket) -> None:
    """More cuts than tries, each after a mebibyte."""
    content = CONTENT * 3

    def read(start: int, to: Sink) -> None:
        to.write(content[start : start + MEBIBYTE])
        raise ObjectStoreError(BROKE_OFF)

    pauses: list[float] = []
    assert download(ReadingBucket(len(content), read), pauses) == content
    assert len(pauses) == 11
    assert max(pauses) <= 0.25


def test_a_transfer_that_always_breaks_off_is_given_up(bucket: Bucket) -> None:
    """After a few tries, ever more patient ones; the error says how far it came and what broke it off last."""
    bucket.put("app", CONTENT[:1000])
    bucket.cuts["app"], pauses = 1000, list[float]()
    error = failure(lambda: download(bucket, pauses))
    assert error.message.startswith("downloading bucket://releases/app failed 6 times in a row, at last after 984 of 1000 ")
    assert error.message.endswith("bytes: the connection broke off")
    assert "Check the network" in error.hint
    assert len(pauses) == 5
    assert all(2**number / 8 <= pause <= 2**number / 4 for number, pause in enumerate(pauses))


@pytest.mark.parametrize("size", [3, None])
def test_an_answer_that_ends_early_is_noticed_where_the_size_is_known(size: int | None) -> None:
    answers = iter([b"ab", b"c"])

    def read(_start: int, to: Sink) -> None:
        to.write(next(answers))

    assert download(ReadingBucket(size, read)) == (b"abc" if size else b"ab")


def test_a_connection_that_breaks_off_after_the_last_byte_is_no_failure() -> None:
    def read(_start: int, to: Sink) -> None:
        to.write(b"abc")
        raise ObjectStoreError(BROKE_OFF)

    assert download(ReadingBucket(3, read)) == b"abc"


def test_a_fault_that_lasts_is_an_error_also_after_the_last_byte() -> None:
    """The store's own checksum, say."""

    def read(_start: int, to: Sink) -> None:
        to.write(b"abc")
        raise ObjectStoreError(Fault("the bytes that arrived are others", "dewy tries again"))

    pauses: list[float] = []
    error = failure(lambda: download(ReadingBucket(3, read), pauses))
    assert error.message == "downloading bucket://releases/app failed: the bytes that arrived are others"
    assert pauses == []


def test_an_object_replaced_during_the_download_is_an_error(bucket: Bucket) -> None:
    """Half of the old and half of the new would be neither."""

    def replace_it(_operation: str, _key: str) -> None:
        if len(bucket.reads) == 2:
            bucket.put("app", CONTENT[::-1])

    bucket.cuts["app"], bucket.before = 1, replace_it
    assert "replaced meanwhile" in failure(lambda: download(bucket)).message


def test_more_bytes_than_the_object_has_are_never_written() -> None:
    """Whatever the SDK makes of the refusal: here it takes it for a broken connection."""

    def read(_start: int, to: Sink) -> None:
        to.write(b"ab")
        try:
            to.write(b"cd")
        except Exception:
            raise ObjectStoreError(BROKE_OFF) from None

    to = WriteOnly()
    error = failure(lambda: download(ReadingBucket(3, read), to=to))
    assert "more bytes came than the object's 3" in error.message
    assert to.content == b"ab"


def test_a_full_disk_is_not_the_store_s_fault() -> None:
    """Its error comes out as it is, whatever the SDK makes of it, and nothing is tried again."""

    def read(start: int, to: Sink) -> None:
        try:
            to.write(CONTENT[start:])
        except Exception:
            raise ObjectStoreError(BROKE_OFF) from None

    pauses: list[float] = []
    with pytest.raises(OSError, match="No space left"):
        download(ReadingBucket(len(CONTENT), read), pauses, WriteOnly(fails_after=MEBIBYTE))
    assert pauses == []


def test_what_is_no_fault_of_the_store_comes_out_as_it_is() -> None:
    """A mistake in a plugin is not told as a broken connection."""

    def read(_start: int, _to: Sink) -> None:
        raise KeyError("ETag")

    with pytest.raises(KeyError, match="ETag"):
        download(ReadingBucket(3, read))
