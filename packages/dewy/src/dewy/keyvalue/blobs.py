"""The blobs of a shared cache: whole contents by their digest, however many hosts write and remove them at once.

Every change of a blob's record is a compare-and-set on what was read, so that of two hosts one notices the other. Pieces
belong to one upload and are removed by whoever has taken its record away.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import BinaryIO

from dewy.backends.bounds import Bounds, Entry, surplus
from dewy.errors import CacheError
from dewy.keyvalue.clocks import Clocks
from dewy.keyvalue.pieces import open_blob, piece_key
from dewy.keyvalue.records import Blob, read_blob, write_blob
from dewy.keyvalue.sightings import Sightings
from dewy.keyvalue.store import KeyValueStore
from dewy.sizes import format_size

__all__ = ["SILENT", "Blobs"]

_BEAT = 10.0
"""Seconds after which a writer shows that it is still there."""
SILENT = 60.0
"""Seconds without a sign after which a writer is dead."""


class Blobs:
    """Contents by SHA-256, in hex.

    Args:
        store: Where they are.
        prefix: Of the store's keys.
        bounds: How much is kept.
        clocks: What time it goes by: the wall's tells, as a hint, what was unused for longest.
    """

    def __init__(self, store: KeyValueStore, prefix: str, bounds: Bounds, clocks: Clocks) -> None:
        self._store, self._prefix, self._bounds = store, prefix, bounds
        self._clocks = clocks
        self._writers = Sightings(clocks.monotonic)
        self._users = Sightings(clocks.monotonic)

    def find(self, digest: str) -> Blob | None:
        """The record of a blob, whole or not; None when there is none. Raises CacheError."""
        return read_blob(self._store.get(self._key(digest)))

    def open(self, digest: str) -> BinaryIO | None:
        """The content of a whole blob as a stream; None when there is none. One found to be damaged is let go."""
        blob = self.find(digest)
        if blob is None or blob.state != "whole":
            return None
        return open_blob(self._store, self._prefix, digest, blob, lambda: self._let_go(digest, blob))

    def renew(self, digest: str, after: float = 0.0) -> bool:
        """Says that a blob is in use now; False when there is no whole one. Raises CacheError.

        Args:
            digest: The blob's.
            after: Seconds for which it need not be said again when this process has seen that anybody has said it.
        """
        blob = self.find(digest)
        if blob is None or blob.state != "whole":
            return False
        seen_before = self._users.has_seen(digest)
        if self._users.age(digest, blob.stamp) < after and seen_before:
            return True
        renewed = self._stamped(blob)
        if self._change(digest, blob, renewed):
            self._users.age(digest, renewed.stamp)
            return True
        present = self.find(digest)  # another host was quicker, to say the same or to take it away
        return present is not None and present.state == "whole"

    def put(self, digest: str, size: int, source: BinaryIO) -> bool:
        """Stores a content, unless it is there; whether it is there then, and not being written by another host.

        Raises CacheError, and what ``source`` raises; then nothing is left.
        """
        if self.renew(digest):
            return True
        self._make_room(digest, size)
        blob = self._begin(digest, size)
        if blob is None:
            return False
        try:
            written = self._upload(digest, blob, source)
            done = self._change(digest, written, self._stamped(replace(written, state="whole")))
        except BaseException:
            self._give_up(digest, blob)
            raise
        if not done:  # another host has taken this one for dead: what was stored here leads nowhere
            self._give_up(digest, blob)
        return done

    def remove(self, digest: str, blob: Blob) -> bool:
        """Takes a blob away, if its record is still the same; whether it was. Raises CacheError."""
        if not self._change(digest, blob, None):
            return False
        self.remove_pieces(blob.upload)
        return True

    def remove_pieces(self, upload: str) -> None:
        """Takes the pieces of an upload away that no record leads to. Raises CacheError."""
        for key in list(self._store.keys(f"{self._prefix}pieces/{upload}/")):
            self._store.delete(key)

    def records(self) -> Iterator[tuple[str, Blob | None]]:
        """Every blob's digest and record. Raises CacheError."""
        start = f"{self._prefix}blobs/"
        for key in list(self._store.keys(start)):
            record = self._store.get(key)
            if record is not None:
                yield key.removeprefix(start), read_blob(record)

    def uploads(self) -> set[str]:
        """Every upload of which there are pieces. Raises CacheError."""
        start = f"{self._prefix}pieces/"
        return {key.removeprefix(start).partition("/")[0] for key in self._store.keys(start)}

    def shrink(self, bounds: Bounds, spare: Collection[str] = ()) -> None:
        """Removes what was unused for longest until the rest is within bounds. Raises CacheError."""
        blobs = {digest: blob for digest, blob in self.records() if blob}
        entries = [Entry(digest, blob.size, blob.used) for digest, blob in blobs.items()]
        for digest in surplus(entries, bounds, spare):
            self.remove(digest, blobs[digest])

    # ------------------------------------------------------------------------------------------------------- writing

    def _make_room(self, digest: str, size: int) -> None:
        if size > self._bounds.size:
            raise CacheError(
                f"an artifact of {format_size(size)} is larger than all that the cache may hold,"
                f" {format_size(self._bounds.size)}",
                "Raise max-size in the cache URL",
            )
        self.shrink(Bounds(max(self._bounds.keep - 1, 0), self._bounds.size - size), spare={digest})

    def _begin(self, digest: str, size: int) -> Blob | None:
        """Says that this content is being written; None when somebody else does who shows signs of life."""
        record = self._store.get(self._key(digest))
        present = read_blob(record)
        if present and self._writers.age(digest, present.stamp) < SILENT:
            return None
        new = Blob(
            state="writing", upload=secrets.token_hex(16), piece=self._store.largest, size=size, stamp="", used=0.0
        )  # fmt: skip
        new = self._stamped(new)
        begun = self._store.compare_and_set(self._key(digest), record, write_blob(new))
        if begun and present:
            self.remove_pieces(present.upload)
        return new if begun else None

    def _upload(self, digest: str, blob: Blob, source: BinaryIO) -> Blob:
        """Stores all pieces, with a sign of life now and then; the record as it is then. Raises CacheError."""
        beat = self._clocks.monotonic()
        for number in range(blob.pieces):
            piece = _read_exactly(source, min(blob.piece, blob.size - number * blob.piece))
            self._store.set(piece_key(self._prefix, blob.upload, number), piece)
            if self._clocks.monotonic() - beat > _BEAT:
                alive = self._stamped(blob)
                if not self._change(digest, blob, alive):
                    raise CacheError("this host was too slow in storing an artifact, and another one has taken over")
                blob, beat = alive, self._clocks.monotonic()
        return blob

    def _give_up(self, digest: str, blob: Blob) -> None:
        """Takes away what this writer has stored, as far as the store lets it. Never raises."""
        try:
            present = self.find(digest)
            if present and present.upload == blob.upload:
                self._change(digest, present, None)
            self.remove_pieces(blob.upload)
        except Exception:
            return  # the store fails; what is left grows old and is tidied

    def _change(self, digest: str, blob: Blob, new: Blob | None) -> bool:
        record = write_blob(new) if new else None
        return self._store.compare_and_set(self._key(digest), write_blob(blob), record)

    def _let_go(self, digest: str, blob: Blob) -> None:
        """Takes a damaged blob away, so that the next writer stores it anew."""
        try:
            present = self.find(digest)
            if present and present.upload == blob.upload:
                self.remove(digest, present)
        except CacheError:
            return  # the next reader finds it

    def _stamped(self, blob: Blob) -> Blob:
        return replace(blob, stamp=secrets.token_hex(8), used=round(self._clocks.wall(), 3))

    def _key(self, digest: str) -> str:
        return f"{self._prefix}blobs/{digest}"


def _read_exactly(source: BinaryIO, size: int) -> bytes:
    """So many bytes, from a source that may give fewer at a time. Raises CacheError when it ends before."""
    pieces, left = [], size
    while left:
        piece = source.read(left)
        if not piece:
            raise CacheError("what is being put into the cache became shorter meanwhile")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
