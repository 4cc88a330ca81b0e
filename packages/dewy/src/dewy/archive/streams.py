"""Compressed bytes as a stream that is read once, in bounded memory, and checked to its very end."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from dewy.archive.members import Refusal

__all__ = ["Stream", "decoded", "inflated", "raw_pieces"]

_PIECE = 1 << 16
_OUTPUT = 1 << 18
_MOST_MEMORY = 192 << 20
"""Bytes that a decoder may need: ``xz -9`` takes 65 MiB."""


class Decoder(Protocol):
    """What decodes one compressed stream: as bz2's and lzma's decompressors do."""

    @property
    def eof(self) -> bool:
        """Whether the stream's end was reached, and its checksum matched."""

    @property
    def needs_input(self) -> bool:
        """Whether more output needs more input."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decodes, at most ``max_length`` bytes at once; with no data it goes on with what it has."""


class _Inflater:
    """zlib's decompressor with the manners of bz2's and lzma's."""

    def __init__(self, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._full and not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(piece) == max_length
        return piece


def raw_pieces(file: BinaryIO, progress: Callable[[], None]) -> Iterator[bytes]:
    """A file from where it stands to its end, in pieces; ``progress`` is called for each."""
    while piece := file.read(_PIECE):
        progress()
        yield piece


def decoded(pieces: Iterator[bytes], compression: str) -> Iterator[bytes]:
    """What compressed bytes stand for, in pieces.

    Several compressed streams in a row are one, as for the tools of each format; zeros after one are padding.

    Args:
        pieces: The compressed bytes.
        compression: ``gz``, ``bz2``, ``xz``, ``zst``; anything else is no compression.

    Raises:
        Refusal: They are damaged, end too early, have something else after their end, or need too much memory.
    """
    if compression not in ("gz", "bz2", "xz", "zst"):
        return pieces
    new, errors = _codec(compression)
    return _decode(pieces, new, errors)


def inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What raw deflate data, as in a zip archive, stands for. Raises Refusal when it is damaged."""
    return _decode(pieces, lambda: _Inflater(-zlib.MAX_WBITS), (zlib.error,))


def _codec(compression: str) -> tuple[Callable[[], Decoder], tuple[type[Exception], ...]]:
    """How one compression is decoded, and what its decoder raises for bad data. Loads only what it needs."""
    if compression == "gz":
        return (lambda: _Inflater(16 + zlib.MAX_WBITS)), (zlib.error,)
    if compression == "bz2":
        import bz2

        return bz2.BZ2Decompressor, (OSError, ValueError)
    if compression == "xz":
        import lzma

        return (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY)), (lzma.LZMAError,)
    from dewy.archive import zstd

    return zstd.ZstdDecoder, zstd.ERRORS


def _decode(pieces: Iterator[bytes], new: Callable[[], Decoder], errors: tuple[type[Exception], ...]) -> Iterator[bytes]:
    decoder = new()
    begun = "is damaged"
    for piece in pieces:
        rest = piece
        while rest:
            if decoder.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                decoder, begun = new(), "has something after the end of its compressed data"
            for output in _feed(decoder, rest, errors, begun):
                begun = "is damaged"
                yield output
            rest = decoder.unused_data if decoder.eof else b""
    if not decoder.eof:
        raise Refusal("is cut off: its compressed data ends too early")


def _feed(decoder: Decoder, data: bytes, errors: tuple[type[Exception], ...], begun: str) -> Iterator[bytes]:
    """All output that some input gives; never holds more than one piece of it."""
    while not decoder.eof:
        try:
            output = decoder.decompress(data, _OUTPUT)
        except errors as error:
            raise Refusal(f"{begun}: {str(error) or 'its compressed data cannot be read'}") from None
        if output:
            yield output
        if decoder.needs_input:
            return
        data = b""


class Stream:
    """Pieces of bytes, read as one from front to back.

    Args:
        pieces: The bytes.
        limit: How many there may be.
        progress: Called for every piece.
    """

    def __init__(self, pieces: Iterator[bytes], limit: int, progress: Callable[[], None] = lambda: None) -> None:
        self._pieces = pieces
        self._left = limit
        self._beyond = False
        self._progress = progress
        self._now = memoryview(b"")

    def peek(self, size: int) -> bytes:
        """The next bytes without passing them; fewer at the end."""
        start = self.take(size)
        self._now = memoryview(start + self._now)
        return start

    def take(self, size: int) -> bytes:
        """The next bytes; fewer only at the end. They are held in memory: for small sizes."""
        if len(self._now) >= size:  # nearly always
            taken, self._now = self._now[:size], self._now[size:]
            return bytes(taken)
        return b"".join(self._upto(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next bytes in pieces. Raises Refusal when there are not as many."""
        for piece in self._upto(size):
            size -= len(piece)
            yield piece
        if size:
            raise Refusal("is cut off: the archive ends inside it")

    def exactly(self, size: int) -> bytes:
        """The next bytes, held in memory: for small sizes. Raises Refusal when there are not as many."""
        return b"".join(self.pieces(size))

    def rest(self) -> Iterator[bytes]:
        """All that is left, in pieces."""
        while self._fill():
            piece, self._now = self._now, memoryview(b"")
            yield bytes(piece)

    def _upto(self, size: int) -> Iterator[bytes]:
        while size and self._fill():
            piece, self._now = self._now[:size], self._now[size:]
            size -= len(piece)
            yield bytes(piece)

    def _fill(self) -> bool:
        """Whether there are more bytes; gets the next piece if none are at hand."""
        while not self._now:
            if self._beyond:
                raise Refusal("is a decompression bomb: it goes on beyond all that its limits allow")
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._progress()
            self._beyond = len(piece) > self._left
            self._now = memoryview(piece)[: self._left]
            self._left -= len(self._now)
        return True
