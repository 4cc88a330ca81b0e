"""An object as an artifact: streamed, and taken up where it broke off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from dewy.backoff import backoff
from dewy.errors import ArtifactError
from dewy.objectstore.faults import Fault, ObjectStoreError, told_as
from dewy.objectstore.keys import key_in
from dewy.objectstore.store import ObjectReader, ObjectStore
from dewy.types import Stated

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["ObjectArtifact", "object_artifact"]

_WORTHWHILE = 1 << 20
"""Bytes that a try must bring to count as progress."""
_TRIES = 6
"""Tries without progress, one after the other, after which a download is given up."""
_FIRST_PAUSE = 0.25
"""Seconds before the first new try, at most; each further one without progress waits twice as long."""
_LONGEST_PAUSE = 8.0


class ObjectArtifact:
    """One object: a :class:`dewy.types.Artifact`.

    Args:
        store: The bucket.
        key: The object's.
        pause: Waits so many seconds before the next try.
    """

    def __init__(self, store: ObjectStore, key: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._store, self._key, self._pause = store, key, pause
        self._doing = f"downloading {store.url_of(key)}"

    def download(self, to: BinaryIO) -> Stated:
        """Streams the object into ``to``.

        A transfer that breaks off or stalls is taken up where it stopped, but only of the very same object. Raises
        ArtifactError; what ``to`` raises comes out as it is.
        """
        with told_as(ArtifactError, self._doing):
            reader = self._store.open(self._key)
            self._read(reader, _BoundedSink(to, reader.stated.size))
            return reader.stated

    def _read(self, reader: ObjectReader, sink: _BoundedSink) -> None:
        """Gets all of it. Raises ObjectStoreError for what does not pass, ArtifactError when there were enough tries."""
        fruitless = before = 0
        while error := _read_rest(reader, sink):
            fruitless = 1 if sink.written - before >= _WORTHWHILE else fruitless + 1
            before = sink.written
            if fruitless == _TRIES:
                size = "unknown" if sink.size is None else sink.size
                raise ArtifactError(
                    f"{self._doing} failed {_TRIES} times in a row, at last after {sink.written} of {size} bytes: {error}",
                    "Check the network between this host and the store; dewy tries again later",
                ) from error
            self._pause(backoff(fruitless, first=_FIRST_PAUSE, most=_LONGEST_PAUSE))


class _BoundedSink:
    """Counts, and tells a disk that fails from a store that does.

    Args:
        to: Takes the bytes.
        size: How many there are; None when that is not known.

    Attributes:
        size: As above.
        written: Bytes that were taken.
        error: Why the next ones were not.
    """

    def __init__(self, to: BinaryIO, size: int | None) -> None:
        self._to, self.size = to, size
        self.written = 0
        self.error: Exception | None = None

    def write(self, piece: bytes, /) -> int:
        """Passes a piece on."""
        try:
            # From a store that sends the whole object where the rest was asked for, say.
            if self.size is not None and self.written + len(piece) > self.size:
                raise ObjectStoreError(Fault(f"more bytes came than the object's {self.size}", "dewy tries again"))
            self._to.write(piece)
        except Exception as error:
            self.error = error
            raise
        self.written += len(piece)
        return len(piece)


def _read_rest(reader: ObjectReader, sink: _BoundedSink) -> ObjectStoreError | None:
    """Gets what is still missing, or as much of it as comes. Returns why that was not all, if another try may help."""
    try:
        reader.read(sink.written, sink)
    except Exception as error:
        if sink.error is not None:  # whatever an SDK has made of it
            raise sink.error from None
        if not isinstance(error, ObjectStoreError) or not error.fault.passing:
            raise
        return None if sink.written == sink.size else error
    if sink.size in (None, sink.written):
        return None
    return ObjectStoreError(Fault("the answer ended before the object did", passing=True))


def object_artifact(store: ObjectStore, url: BackendURL, path: str) -> ObjectArtifact:
    """An object as an artifact: what a plugin's ``open`` returns.

    Args:
        store: The bucket.
        url: The artifact's.
        path: What stands in it after the bucket, decoded: the object's key.

    Raises:
        UsageError: It names no object, or none can have such a key.
    """
    return ObjectArtifact(store, key_in(url, path, store))
