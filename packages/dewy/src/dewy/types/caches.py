"""What dewy keeps: streams by key, and what a cache may be able to do beyond that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO, Protocol, runtime_checkable

__all__ = [
    "AtomicCache",
    "Cache",
    "PinningCache",
    "TidyingCache",
    "WatchableCache",
]


@runtime_checkable
class Cache(Protocol):
    """A store of byte streams by key. Keys are 1 to 512 characters; any character may occur in one.

    Every method raises CacheError when the store fails.
    """

    def read(self, key: str) -> BinaryIO | None:
        """A stream of the value, which the caller closes; None when there is none. Never a half-written value."""

    def write(self, key: str, source: BinaryIO) -> None:
        """Stores all that ``source`` has under ``key``, replacing what was there. Visible only when whole."""

    def delete(self, key: str) -> None:
        """Removes a value. That there is none is no error."""

    def keys(self) -> Iterable[str]:
        """The keys of all whole values, in any order."""


@runtime_checkable
class AtomicCache(Cache, Protocol):
    """A cache that many hosts may share, with the one operation from which claims are built."""

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        """Stores a small value if the present one is ``expected``; whether it did. None stands for "there is none".

        Of all hosts that try at the same time with the same expectation, one succeeds. Values are at most 64 KiB.
        """


@runtime_checkable
class WatchableCache(AtomicCache, Protocol):
    """A shared cache whose store can tell of a change: what wakes a whole fleet at a new version."""

    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        """Waits until a small value that was set by ``compare_and_set`` is no longer ``seen``; returns it then.

        After ``seconds`` it returns the value as it is. A change between two calls is never missed.
        """


@runtime_checkable
class PinningCache(Cache, Protocol):
    """A cache that removes old values by itself and must be told which ones are needed."""

    def pin(self, keys: Sequence[str]) -> None:
        """Never remove these; the first is the artifact that runs now. Replaces what was pinned before."""


@runtime_checkable
class TidyingCache(Cache, Protocol):
    """A shared cache that lets go what no host has used for long, and must be told what hosts use."""

    def renew(self, keys: Sequence[str]) -> None:
        """Says that these are in use on this host, so that they do not grow old. Every host calls it now and then."""

    def tidy(self) -> None:
        """Takes away what interrupted writers left and what has grown old. One host of a fleet calls it now and then."""
