"""A cache of a whole fleet on a key-value store: streams of any size, whole or not at all (R42)."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from dewy.backends.bounds import Bounds, bounds_of
from dewy.errors import CacheError, UsageError
from dewy.keyvalue.blobs import Blobs
from dewy.keyvalue.clocks import Clocks
from dewy.keyvalue.names import Names
from dewy.keyvalue.records import Pointer, read_name, write_name
from dewy.keyvalue.store import KeyValueStore, WatchableStore
from dewy.keyvalue.tidying import RENEWALS, Tidying
from dewy.urls import BackendURL

__all__ = ["KeyValueCache", "WatchableKeyValueCache", "key_value_cache"]

_SMALL = 64 * 1024
"""Bytes up to which a value stands in the name's own record."""
_SHORTEST_TTL = 60.0
"""Seconds that an artifact stays at least."""
_ALIKE = 600.0
"""Seconds by which artifacts that are in use may differ in when that was said last: of two, either may go first."""
_READ = 1024 * 1024


class KeyValueCache:
    """The :class:`dewy.types.AtomicCache` on a store of small values. Safe to use from all threads.

    Args:
        store: The store.
        prefix: Of all its keys: caches with different ones know nothing of each other.
        bounds: How much is kept.
        ttl: Seconds after which an artifact goes that no host has needed.
        clocks: What time it goes by.
    """

    def __init__(self, store: KeyValueStore, prefix: str, bounds: Bounds, ttl: float, clocks: Clocks | None = None) -> None:
        clocks = clocks or Clocks()
        self._store, self._bounds = store, bounds
        self._names = Names(store, prefix)
        self._blobs = Blobs(store, prefix, bounds, clocks)
        self._tidying = Tidying(self._names, self._blobs, ttl, clocks)
        self._renewed_for = min(ttl / RENEWALS, _ALIKE)

    def read(self, key: str) -> BinaryIO | None:
        """The value as a stream; one that turns out to be damaged raises CacheError as it is read, and is let go."""
        value = self._names.get(key)
        if isinstance(value, bytes):
            return io.BytesIO(value)
        return self._blobs.open(value.digest) if value else None

    def write(self, key: str, source: BinaryIO) -> None:
        """Stores a value, and lets go what is beyond the bounds.

        If another host stores the same content at this moment, it is there when that one has finished.
        """
        start = _read_up_to(source, _SMALL + 1)
        if len(start) <= _SMALL:
            self._names.set(key, start)
            return
        with _content(start, source) as (content, pointer):
            if self._blobs.put(pointer.digest, pointer.size, content):
                self._names.set(key, pointer)

    def delete(self, key: str) -> None:
        """Removes a value. Its content goes when nothing leads to it any more: see :meth:`tidy`."""
        self._names.delete(key)

    def keys(self) -> list[str]:
        """The keys of all values."""
        return [key for key, _stored in self._names.all()]

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        """Stores a small value, or removes it, if the present one is ``expected``; whether it did."""
        if value is not None and len(value) > _SMALL:
            raise CacheError(f"{len(value)} bytes are too many for a value that is compared", f"It takes {_SMALL}")
        return self._names.compare_and_set(key, expected, value)

    def renew(self, keys: Sequence[str]) -> None:
        """Says that the contents of these are in use, unless another host has said so lately."""
        for key in keys:
            value = self._names.get(key)
            if isinstance(value, Pointer):
                self._blobs.renew(value.digest, self._renewed_for)

    def tidy(self) -> None:
        """Takes away what interrupted writers left, what nothing leads to, and what has grown old. Raises CacheError."""
        self._tidying.run()
        self._blobs.shrink(self._bounds)


class WatchableKeyValueCache(KeyValueCache):
    """The same on a store that tells of changes."""

    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        """Waits until a small value is no longer ``seen``; returns it then, or as it is after ``seconds``."""
        store = cast(WatchableStore, self._store)
        record = store.watch(self._names.store_key(key), None if seen is None else write_name(key, seen), seconds)
        value = None if record is None else read_name(record).value
        return value if isinstance(value, bytes) else None


def key_value_cache(store: KeyValueStore, url: BackendURL, *, prefix: str) -> KeyValueCache:
    """The cache on a store, with the bounds that its URL sets: what a plugin's ``open`` returns.

    Args:
        store: The store; if it is a WatchableStore, the cache tells of changes.
        url: With the options :data:`dewy.types.SHARED_CACHE_OPTIONS`.
        prefix: Of the store's keys.

    Raises:
        UsageError: An option has a value that cannot be.
    """
    ttl = url.seconds("artifact-ttl") or 0.0
    if ttl < _SHORTEST_TTL:
        raise UsageError(f"option 'artifact-ttl' in the cache URL {url} is {ttl:g}s", f"It takes {_SHORTEST_TTL:g}s or more")
    kind = WatchableKeyValueCache if isinstance(store, WatchableStore) else KeyValueCache
    return kind(store, prefix, bounds_of(url), ttl)


def _read_up_to(source: BinaryIO, size: int) -> bytes:
    pieces, left = [], size
    while left and (piece := source.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


@contextmanager
def _content(start: bytes, source: BinaryIO) -> Iterator[tuple[BinaryIO, Pointer]]:
    """A content from its beginning, and its digest: a blob's name must be known before the first byte of it is stored.

    A source that can be read twice is; what comes out of a pipe is put aside on this disk.
    """
    if source.seekable():
        hasher = hashlib.sha256(start)
        size = len(start)
        while piece := source.read(_READ):
            hasher.update(piece)
            size += len(piece)
        source.seek(-size, io.SEEK_CUR)
        yield source, Pointer(hasher.hexdigest(), size)
        return
    try:
        with tempfile.TemporaryFile() as aside:
            hasher = hashlib.sha256()
            piece = start
            while piece:
                aside.write(piece)
                hasher.update(piece)
                piece = source.read(_READ)
            size = aside.tell()
            aside.seek(0)
            yield cast(BinaryIO, aside), Pointer(hasher.hexdigest(), size)
    except OSError as error:
        raise CacheError(f"what is to be put into the cache cannot be put aside: {error}") from error
