"""An object in S3 as an artifact: streamed, taken up where it broke off, with what the store states of its bytes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO

from dewy.errors import ArtifactError
from dewy.types import Stated
from dewy_registry_s3.connection import Connection
from dewy_registry_s3.location import Location
from dewy_registry_s3.stated import stated_of

if TYPE_CHECKING:
    from botocore.response import StreamingBody

__all__ = ["S3Artifact"]

_PIECE = 1 << 20
_WORTHWHILE = 1 << 20
"""Bytes that a try must bring to count as progress."""
_TRIES = 6
"""Tries without progress, one after the other, after which a download is given up."""
_FIRST_PAUSE = 0.25
"""Seconds before the first new try; each further one without progress waits twice as long."""


class _BrokenOff(Exception):
    """A transfer ended before its end."""


class S3Artifact:
    """One object: a :class:`dewy.types.Artifact`.

    Args:
        location: The object.
        connection: The way to the store.
        pause: Waits so many seconds before the next try.
    """

    def __init__(self, location: Location, connection: Connection, pause: Callable[[float], None] = time.sleep) -> None:
        self._location = location
        self._connection = connection
        self._pause = pause

    def download(self, to: BinaryIO) -> Stated:
        """Streams the object into ``to``.

        A transfer that breaks off or stalls is taken up where it stopped, but only of the very same object (by its ETag).
        Raises ArtifactError.
        """
        answer: Mapping[str, Any] | None
        answer = first = self._get()
        stated = stated_of(self._location.bucket, first)
        written = fruitless = 0
        while True:
            before = written
            try:
                for piece in self._pieces(answer or self._rest(first["ETag"], written)):
                    to.write(piece)
                    written += len(piece)
                if stated.size in (None, written):
                    return stated
                raise _BrokenOff("the answer ended before the object did")
            except _BrokenOff as error:
                if stated.size == written:
                    return stated
                fruitless = 1 if written - before >= _WORTHWHILE else fruitless + 1
                self._wait(fruitless, written, stated.size, error)
                answer = None

    def _get(self, **request: Any) -> dict[str, Any]:
        """Asks for the object; ``request`` asks for a part. The answer's body has not been read yet."""
        whole: dict[str, Any] = {"ChecksumMode": "ENABLED"}
        with self._connection.client(ArtifactError, f"downloading {self._location}") as client:
            answer = client.get_object(Bucket=self._location.bucket, Key=self._location.key, **(request or whole))
        if not answer.get("ETag"):
            answer["Body"].close()
            raise ArtifactError(
                f"downloading {self._location} failed: the answer is not one of an S3 store",
                "Check the endpoint and what stands between it and this host",
            )
        return dict(answer)

    def _rest(self, etag: str, written: int) -> Mapping[str, Any]:
        """Asks for what follows ``written`` bytes. Raises _BrokenOff if that may succeed in a moment."""
        from dewy_registry_s3.faults import is_passing

        try:
            answer = self._get(Range=f"bytes={written}-", IfMatch=etag)
        except ArtifactError as error:
            if is_passing(error.__cause__):
                raise _BrokenOff(error.message) from error
            raise
        if written and not str(answer.get("ContentRange", "")).startswith(f"bytes {written}-"):
            answer["Body"].close()
            raise ArtifactError(
                f"downloading {self._location} broke off after {written} bytes, and the store does not send the rest alone"
            )
        return answer

    def _wait(self, fruitless: int, written: int, size: int | None, error: _BrokenOff) -> None:
        """Waits before the next try. Raises ArtifactError when there were enough."""
        if fruitless >= _TRIES:
            raise ArtifactError(
                f"downloading {self._location} failed {fruitless} times in a row, at last after {written} of "
                f"{'unknown' if size is None else size} bytes: {error}",
                "Check the network between this host and the store; dewy tries again later",
            ) from error
        self._pause(_FIRST_PAUSE * 2 ** (fruitless - 1) * random.uniform(0.5, 1))  # noqa: S311 - no secret

    def _pieces(self, answer: Mapping[str, Any]) -> Iterator[bytes]:
        """The answer's body, in pieces. Raises _BrokenOff; ArtifactError if the store's own checksum says otherwise."""
        from botocore.exceptions import FlexibleChecksumError

        from dewy_registry_s3.faults import fault_of

        body: StreamingBody = answer["Body"]
        with closing(body):
            while True:
                try:
                    piece = body.read(_PIECE)
                except FlexibleChecksumError as error:
                    fault = fault_of(error)
                    raise ArtifactError(f"downloading {self._location} failed: {fault.reason}", fault.hint) from error
                except Exception as error:  # whatever reading raises, the transfer is broken
                    raise _BrokenOff(fault_of(error).reason) from error
                if not piece:
                    return
                yield piece
