"""The bytes of a blob: read from the store piece by piece, and held against what they should be."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO, cast

from dewy.errors import DamagedError
from dewy.keyvalue.records import Blob
from dewy.keyvalue.store import KeyValueStore

__all__ = ["open_blob", "piece_key"]

_BUFFER = 64 * 1024


def piece_key(prefix: str, upload: str, number: int) -> str:
    """The store's key of a piece."""
    return f"{prefix}pieces/{upload}/{number:06d}"


class _Pieces(io.RawIOBase):
    """A blob's content as a stream, one piece in memory at a time."""

    def __init__(self, get: Callable[[int], bytes | None], blob: Blob, digest: str, damaged: Callable[[], None]) -> None:
        super().__init__()
        self._get, self._blob, self._digest, self._damaged = get, blob, digest, damaged
        self._hasher = hashlib.sha256()
        self._next, self._rest = 0, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        """Gives what there is; at the end the digest must be right, or it raises DamagedError."""
        into = memoryview(buffer)  # type: ignore[arg-type]  # any writable buffer
        if not self._rest and self._next < self._blob.pieces:
            self._rest = memoryview(self._piece(self._next))
            self._next += 1
            self._hasher.update(self._rest)
            if self._next == self._blob.pieces and self._hasher.hexdigest() != self._digest:
                raise self._damage("its content is not what was stored")
        given = min(len(into), len(self._rest))
        into[:given], self._rest = self._rest[:given], self._rest[given:]
        return given

    def _piece(self, number: int) -> bytes:
        piece = self._get(number)
        blob = self._blob
        if piece is None or len(piece) != min(blob.piece, blob.size - number * blob.piece):
            what = "is missing" if piece is None else "has the wrong size"
            raise self._damage(f"piece {number + 1} of {blob.pieces} {what}")
        return piece

    def _damage(self, what: str) -> DamagedError:
        self._damaged()
        return DamagedError(
            f"an artifact of {self._blob.size} bytes is damaged in the cache: {what}",
            "It is fetched from its source; the store may remove values by itself when its memory is full",
        )


def open_blob(store: KeyValueStore, prefix: str, digest: str, blob: Blob, damaged: Callable[[], None]) -> BinaryIO:
    """A blob's content as a stream that gives every byte or raises DamagedError.

    Args:
        store: Where it is.
        prefix: Of the store's keys.
        digest: SHA-256 of the content in hex. What differs is not handed on to the end.
        blob: Its record.
        damaged: Called when it turns out not to be whole, before the error.
    """
    pieces = _Pieces(lambda number: store.get(piece_key(prefix, blob.upload, number)), blob, digest, damaged)
    return cast(BinaryIO, io.BufferedReader(pieces, _BUFFER))
