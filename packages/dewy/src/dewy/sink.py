"""Where the bytes of an artifact arrive, and where they are read from: counted, hashed, bounded, with signs of life."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from dewy.digests import PRIMARY, new_hasher
from dewy.errors import ArtifactError

__all__ = ["Sink", "Watched"]


class Sink(io.RawIOBase):
    """Where bytes arrive: counts, hashes and bounds them, and turns a writer away that was given up.

    Args:
        file: Where they go.
        name: The artifact's, for errors.
        most: Bytes that it may have.
        monotonic: The clock, in seconds.
        progress: Is told the number of bytes so far.
    """

    def __init__(
        self, file: BinaryIO, name: str, most: int, monotonic: Callable[[], float], progress: Callable[[int], None]
    ):
        self._file, self._name, self._most = file, name, most
        self._hasher, self._monotonic, self._progress = new_hasher(), monotonic, progress
        self.size = 0
        self.last_sign = monotonic()
        self.abandoned = False
        self.error: OSError | None = None

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object, /) -> int:
        """Takes bytes. Raises ArtifactError when they are too many or not wanted any more, OSError when the disk fails."""
        piece = bytes(data)  # type: ignore[call-overload]  # any buffer: what io calls ReadableBuffer
        if self.abandoned:
            raise ArtifactError(f"{self._name} is not wanted any more")
        if self.size + len(piece) > self._most:
            raise ArtifactError(f"{self._name} is larger than {self._most} bytes", "--max-size sets what is allowed")
        try:
            self._file.write(piece)
        except OSError as error:
            self.error = error
            raise
        self._hasher.update(piece)
        self.size += len(piece)
        self.last_sign = self._monotonic()
        self._progress(self.size)
        return len(piece)

    @property
    def digest(self) -> str:
        """Of what has arrived so far, ``sha256:HEX``."""
        return f"{PRIMARY}:{self._hasher.hexdigest()}"


class Watched(io.RawIOBase):
    """A file that is read by a plugin, after a head of our own, with signs of life. It can be read again from any place.

    Args:
        file: The file, at its beginning.
        monotonic: The clock, in seconds.
        head: What is read before it.
    """

    def __init__(self, file: BinaryIO, monotonic: Callable[[], float], head: bytes = b"") -> None:
        self._file, self._monotonic, self._head, self._at = file, monotonic, head, 0
        self.last_sign = monotonic()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Bytes read so far."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Goes to another place."""
        if whence == io.SEEK_END:
            self._at = len(self._head) + self._file.seek(0, io.SEEK_END)
        elif whence == io.SEEK_SET:
            self._at = 0
        self._at += offset
        self._file.seek(max(0, self._at - len(self._head)))
        return self._at

    def readinto(self, buffer: object, /) -> int:
        """Reads on."""
        into = memoryview(buffer)  # type: ignore[arg-type]  # any writable buffer
        piece = self._head[self._at : self._at + len(into)] or self._file.read(len(into))
        into[: len(piece)] = piece
        self._at += len(piece)
        self.last_sign = self._monotonic()
        return len(piece)
