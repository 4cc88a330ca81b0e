"""zstd in bounded memory: zstandard's decompressor, fed with one block at a time.

It takes no limit for its output, and a block of 4 bytes can stand for 128 KiB; but no block stands for more than that. So
what it gives for one block is small, whatever comes next. Where blocks end is told by 3 bytes each (RFC 8878, section 3).
"""

from __future__ import annotations

import zstandard

__all__ = ["ERRORS", "ZstdDecoder"]

ERRORS = (zstandard.ZstdError,)
"""What the decoder raises for bad data."""

_MAX_WINDOW = 128 << 20
"""Bytes of output to which a frame may refer back: as many as ``zstd --ultra -22`` makes of it, and zstd itself takes."""

_SKIPPABLE = b"\x2a\x4d\x18"
_MAGIC = 4
_RUN = 1
_DICTIONARY_ID = (0, 1, 2, 4)
_CONTENT_SIZE = (0, 2, 4, 8)


class ZstdDecoder:
    """Decodes one frame, with the manners of bz2's and lzma's decompressors (see ``streams.Decoder``)."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        self._waiting = memoryview(b"")
        self._part = 0  # bytes that are missing to the end of the present header or block
        self._in_blocks = self._has_checksum = False
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the frame's end was reached, and its checksum, if it has one, matched."""
        return self._zstd.eof

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""
        return bytes(self._waiting)

    def decompress(self, data: bytes, _max_length: int) -> bytes:
        """Decodes, at most 128 KiB at once; with no data it goes on with what it has."""
        if data:
            self._waiting = memoryview(bytes(self._waiting) + data)
        if not self._part:
            self._part = self._next_part()
        part, self._waiting = self._waiting[: self._part], self._waiting[self._part :]
        self._part -= len(part)
        self.needs_input = not part or not self._waiting
        return self._zstd.decompress(part)

    def _next_part(self) -> int:
        """The length of the header or block that comes next; 0 when too little of it is there to tell."""
        waiting = self._waiting
        if not self._in_blocks:
            return self._frame_header() if len(waiting) >= 2 * _MAGIC else 0
        if len(waiting) < 3:
            return 0
        header = int.from_bytes(waiting[:3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        return 3 + (1 if kind == _RUN else size) + (4 if last and self._has_checksum else 0)

    def _frame_header(self) -> int:
        waiting = self._waiting
        if waiting[1:_MAGIC] == _SKIPPABLE:
            return 2 * _MAGIC + int.from_bytes(waiting[_MAGIC : 2 * _MAGIC], "little")
        flags = waiting[_MAGIC]
        single_segment = flags >> 5 & 1
        content_size = _CONTENT_SIZE[flags >> 6] or single_segment
        self._in_blocks, self._has_checksum = True, bool(flags >> 2 & 1)
        return _MAGIC + 1 + (1 - single_segment) + _DICTIONARY_ID[flags & 3] + content_size
