"""The cache at ``memory://``: for hosts whose disk cannot be written, and for tests. It is empty after a restart."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from dewy.backends.bounds import Bounds, Entry, bounds_of, surplus
from dewy.errors import CacheError
from dewy.types import Cache
from dewy.urls import BackendURL

__all__ = ["MemoryCache", "open_cache"]


@dataclass(slots=True)
class _Value:
    content: bytes
    used: int  # a number that grows with every use


class MemoryCache:
    """Values in this process, within hard bounds; safe to use from all threads.

    What does not fit is refused with a CacheError, and the deployment goes on without the cache: memory that an
    application needs is not given to its archive.

    Args:
        bounds: How much is kept. What is pinned counts, and stays.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._values: dict[str, _Value] = {}
        self._pinned: frozenset[str] = frozenset()
        self._uses = 0
        self._lock = threading.Lock()

    def read(self, key: str) -> BinaryIO | None:
        """The value, as it was at the call, which counts as used now."""
        with self._lock:
            value = self._values.get(key)
            if value is None:
                return None
            value.used = self._next_use()
            return io.BytesIO(value.content)

    def write(self, key: str, source: BinaryIO) -> None:
        """Stores a value and lets go what is beyond the bounds. Raises CacheError when it does not fit."""
        content = _read_up_to(source, self._bounds.size + 1)
        with self._lock:
            self._store(key, content)

    def delete(self, key: str) -> None:
        """Removes a value."""
        with self._lock:
            self._values.pop(key, None)

    def keys(self) -> list[str]:
        """The keys of all values."""
        with self._lock:
            return list(self._values)

    def pin(self, keys: Sequence[str]) -> None:
        """Has these stay, in place of those that were to stay before."""
        with self._lock:
            self._pinned = frozenset(keys)

    def _store(self, key: str, content: bytes) -> None:
        others = [Entry(other, len(value.content), value.used) for other, value in self._values.items() if other != key]
        used = self._next_use()
        new = Entry(key, len(content), used)
        gone = surplus([*others, new], self._bounds, spare={key, *self._pinned})
        size = sum(entry.size for entry in (*others, new) if entry.key not in gone)
        if size > self._bounds.size or len(others) + 1 - len(gone) > self._bounds.keep:
            raise CacheError(
                f"{key} does not fit into the memory cache: it takes {self._bounds.keep} values of {self._bounds.size} bytes"
                " in all, and what is in use stays",
                "Raise keep or max-size in the cache URL, or use a cache on the disk: file://",
            )
        for other in gone:
            del self._values[other]
        self._values[key] = _Value(content, used)

    def _next_use(self) -> int:
        self._uses += 1
        return self._uses


def _read_up_to(source: BinaryIO, most: int) -> bytes:
    content = io.BytesIO()
    while left := most - content.tell():
        piece = source.read(min(left, 1024 * 1024))
        if not piece:
            break
        content.write(piece)
    return content.getvalue()


def open_cache(url: BackendURL) -> Cache:
    """Opens the cache that a URL names. Raises UsageError for a URL it cannot work with."""
    return MemoryCache(bounds_of(url))
