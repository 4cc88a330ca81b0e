"""An object in Google Cloud Storage as an artifact: streamed, taken up where it broke off, checked by its CRC-32C."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from dewy.errors import ArtifactError
from dewy.types import Stated
from dewy_registry_gs.connection import Connection
from dewy_registry_gs.location import Location
from dewy_registry_gs.stated import crc32c_of, fingerprint_of, md5_of, size_of

__all__ = ["GoogleArtifact"]

_WORTHWHILE = 1 << 20
"""Bytes that a try must bring to count as progress."""
_TRIES = 6
"""Tries without progress, one after the other, after which a download is given up."""
_FIRST_PAUSE = 0.25
"""Seconds before the first new try; each further one without progress waits twice as long."""
_AGAIN = "dewy tries again"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the store says of the object before it sends it."""

    size: int
    generation: int
    crc32c: int | None
    md5: str | None


class _Sink:
    """Where the SDK writes to: counts, takes the checksum, and tells a disk that fails from a store that does.

    Args:
        to: Takes the bytes.
        size: How many there are.
        shown: The object, for error texts.

    Attributes:
        size: Of what was written, in bytes.
        crc32c: Of what was written.
        error: What ``to`` raised.
    """

    def __init__(self, to: BinaryIO, size: int, shown: str) -> None:
        from google_crc32c import extend

        self._to, self._most, self._shown, self._extend = to, size, shown, extend
        self.size = 0
        self.crc32c = 0
        self.error: Exception | None = None

    def write(self, piece: bytes) -> int:
        """Passes a piece on."""
        if self.size + len(piece) > self._most:  # one that sends the whole object where the rest was asked for, say
            raise ArtifactError(f"downloading {self._shown} failed: more bytes came than the object's {self._most}", _AGAIN)
        try:
            self._to.write(piece)
        except Exception as error:
            self.error = error
            raise
        self.crc32c = self._extend(self.crc32c, piece)
        self.size += len(piece)
        return len(piece)


class GoogleArtifact:
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
        self._doing = f"downloading {location}"

    def download(self, to: BinaryIO) -> Stated:
        """Streams the object into ``to``, as it is stored.

        A transfer that breaks off or stalls is taken up where it stopped, but only of the very same object (by its
        generation). The core does not know CRC-32C, the one checksum that every object has: it is checked here.
        Raises ArtifactError.
        """
        facts = self._facts()
        sink = _Sink(to, facts.size, str(self._location))
        fruitless = 0
        while sink.size < facts.size:
            before = sink.size
            why = self._transfer(sink, facts)
            if sink.size < facts.size:
                fruitless = 1 if sink.size - before >= _WORTHWHILE else fruitless + 1
                self._wait(fruitless, sink.size, facts.size, why)
        if facts.crc32c not in (None, sink.crc32c):
            raise ArtifactError(
                f"{self._doing} failed: the bytes that arrived are not those the store took its checksum of", _AGAIN
            )
        return Stated(facts.size, (facts.md5,) if facts.md5 else ())

    def _facts(self) -> _Facts:
        """Asks what there is. Raises ArtifactError."""
        with self._connection.client(ArtifactError, self._doing) as client:
            blob = client.bucket(self._location.bucket).blob(self._location.key)
            blob.reload(timeout=self._connection.timeout, retry=self._connection.retry)
            said = {"size": blob.size, "generation": blob.generation, "md5Hash": blob.md5_hash, "crc32c": blob.crc32c}
        size, generation = size_of(said), fingerprint_of(said)
        if size is None or generation is None:
            raise ArtifactError(
                f"{self._doing} failed: the answer is not one of Google Cloud Storage",
                "Check what stands between it and this host: a proxy, a firewall, a login page",
            )
        return _Facts(size, int(generation), crc32c_of(said), md5_of(said))

    def _transfer(self, sink: _Sink, facts: _Facts) -> str:
        """Gets what is still missing, or as much of it as comes. Returns why it ended. Raises ArtifactError."""
        from dewy_registry_gs.faults import fault_of, is_passing

        try:
            with self._connection.client(ArtifactError, self._doing) as client:
                # A blob that knows nothing: one that was loaded goes to whatever address the answer named.
                blob = client.bucket(self._location.bucket).blob(self._location.key)
                blob.download_to_file(
                    sink,
                    start=sink.size or None,
                    raw_download=True,  # what is stored, not what a gzip encoding unpacks to: the checksums are of that
                    if_generation_match=facts.generation,
                    checksum=None,
                    timeout=self._connection.timeout,
                    retry=None,
                )
        except ArtifactError as error:
            if sink.error:
                raise sink.error from None
            cause = error.__cause__
            if cause and is_passing(cause):
                return fault_of(cause).reason
            raise
        return "the answer ended before the object did"

    def _wait(self, fruitless: int, written: int, size: int, why: str) -> None:
        """Waits before the next try. Raises ArtifactError when there were enough."""
        if fruitless >= _TRIES:
            raise ArtifactError(
                f"{self._doing} failed {fruitless} times in a row, at last after {written} of {size} bytes: {why}",
                "Check the network between this host and the store; dewy tries again later",
            )
        self._pause(_FIRST_PAUSE * 2 ** (fruitless - 1) * random.uniform(0.5, 1))  # noqa: S311 - no secret
