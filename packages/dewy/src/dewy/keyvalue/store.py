"""What a key-value store must be able to do so that a cache of a whole fleet can be built on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

__all__ = ["KeyValueStore", "WatchableStore"]


class KeyValueStore(Protocol):
    """Small values by key in a store that many hosts reach. All it takes to be a cache: see :func:`key_value_cache`.

    Keys come from dewy: up to 400 characters of ``A-Z a-z 0-9 - . _ ~ % : /``, with the user's prefix before them. Every
    method may be called from several threads at once, gives up by itself within ten seconds, and raises CacheError when
    the store fails or refuses. What is raised when a value is too large or the store is full is no different.
    """

    @property
    def largest(self) -> int:
        """Bytes that a value may have at most: the size of the pieces that artifacts are cut into. At least 128 KiB."""

    def get(self, key: str) -> bytes | None:
        """A value, as every host sees it now (no stale copy); None when there is none. An empty value is a value."""

    def set(self, key: str, value: bytes) -> None:
        """Stores a value, replacing what was there. When this returns, the store has it."""

    def delete(self, key: str) -> None:
        """Removes a value. That there is none is no error."""

    def keys(self, prefix: str) -> Iterable[str]:
        """All keys that begin with ``prefix``, in any order. What is written meanwhile may be among them or not."""

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        """Stores a value if the present one is ``expected``, in one step; whether it did. None stands for "there is none".

        So ``(None, value)`` creates, ``(expected, value)`` replaces, ``(expected, None)`` removes.
        """


@runtime_checkable
class WatchableStore(KeyValueStore, Protocol):
    """A store that can tell of a change as soon as it happens."""

    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        """Waits until a value that :meth:`compare_and_set` sets is no longer ``seen``; returns it then.

        After ``seconds`` (up to a minute), or earlier, it returns the value as it is. A change that happens between two
        calls, or while the call begins, is never missed. It is called in a thread of its own and may take a connection.
        """
