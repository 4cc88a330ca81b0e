"""Streams for tests: without end, broken, stingy; and how much memory a call takes."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Callable
from typing import Any, BinaryIO, cast

__all__ = ["Generated", "SourceBroke", "Stingy", "WriteOnly", "assert_same", "breaking", "peak_memory"]

_BLOCK = bytes(range(256)) * 256  # 64 KiB


class SourceBroke(Exception):
    """What :func:`breaking` raises."""


class Generated(io.RawIOBase):
    """A source of ``size`` bytes, made as they are read, so that they take no memory.

    ``largest_read`` is how many were asked for at once at most; all of them, if by ``read()`` without a number.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._at = size, 0
        self._hasher = hashlib.sha256()
        self.largest_read = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, at most 64 KiB."""
        wanted = self._size if size is None or size < 0 else size
        self.largest_read = max(self.largest_read, wanted)
        piece = _BLOCK[: min(wanted, self._size - self._at)]
        self._at += len(piece)
        self._hasher.update(piece)
        return piece

    def readinto(self, buffer: Any, /) -> int:
        """Reads into a buffer, as ``io.BufferedReader`` does."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    @property
    def digest(self) -> str:
        """SHA-256 of what was read so far, in hex."""
        return self._hasher.hexdigest()


class Stingy(io.BytesIO):
    """A source that gives few bytes at a time, as sockets and pipes do, whatever it is asked for."""

    def __init__(self, content: bytes, most: int = 7) -> None:
        super().__init__(content)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        """At most as many bytes as it gives at a time."""
        return super().read(self._most if size is None or size < 0 else min(size, self._most))


class _Breaking(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(64 * 1024 if size is None or size < 0 else min(size, 64 * 1024))
        if not piece:
            raise SourceBroke("the source broke off")
        return piece


def breaking(content: bytes) -> BinaryIO:
    """A source that gives ``content`` and then, in place of an end, raises :class:`SourceBroke`."""
    return _Breaking(content)


class WriteOnly:
    """Where a download goes: it has ``write`` only, takes any buffer, and copies it at once.

    Args:
        fails_after: Number of bytes after which writing raises OSError, as a full disk does; None for never.
        keep: Whether the content is kept, or only its digest and size.
    """

    def __init__(self, fails_after: int | None = None, *, keep: bool = True) -> None:
        self._fails_after, self._keep = fails_after, keep
        self._content = bytearray()
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, data: Any, /) -> int:
        """Takes ``data``; returns how many bytes that was."""
        piece = memoryview(data).cast("B")
        if self._fails_after is not None and self.size + len(piece) > self._fails_after:
            raise OSError(28, "No space left on device")
        self._hasher.update(piece)
        if self._keep:
            self._content += piece
        self.size += len(piece)
        return len(piece)

    @property
    def content(self) -> bytes:
        """All that was written."""
        return bytes(self._content)

    @property
    def digest(self) -> str:
        """SHA-256 of all that was written, in hex."""
        return self._hasher.hexdigest()

    def as_binary_io(self) -> BinaryIO:
        """Itself, as the type that the protocol of artifacts has."""
        return cast(BinaryIO, self)


def assert_same(got: bytes | None, expected: bytes, what: str = "what is read is not what was written") -> None:
    """Asserts that bytes are the same, and tells where they differ: a comparison by pytest takes minutes for megabytes."""
    if got == expected:
        return
    if got is None:
        raise AssertionError(f"{what}: nothing in place of {len(expected)} bytes")
    pairs = enumerate(zip(got, expected, strict=False))
    at = next((number for number, (one, other) in pairs if one != other), min(len(got), len(expected)))
    raise AssertionError(f"{what}: {len(got)} bytes in place of {len(expected)}, the first difference at {at}")


def peak_memory(call: Callable[[], object]) -> int:
    """How many bytes Python allocated at most during a call, beyond what it had before."""
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return max(0, peak - before)
