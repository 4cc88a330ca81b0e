"""The small values of a shared cache, asked for with a limit and a note of whether it works."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dewy.errors import CacheError, DewyError
from dewy.guard import Guard
from dewy.sharing.health import CacheHealth
from dewy.types import AtomicCache

__all__ = ["SharedValues"]

T = TypeVar("T")

_LIMIT = 20.0
"""Seconds that a store may take for one small value."""
_LARGEST = 64 * 1024


class SharedValues:
    """What hosts tell each other. Every method raises CacheError, at once while the cache is known not to work.

    Args:
        cache: The cache.
        guard: How plugins are called.
        health: What is known of the cache.
    """

    def __init__(self, cache: AtomicCache, guard: Guard, health: CacheHealth) -> None:
        self._cache, self._guard, self._health = cache, guard, health

    def get(self, key: str) -> bytes | None:
        """A small value; None when there is none, or what is there is no small value."""
        return self._call("reading a shared value", lambda: self._read(key))

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        """Sets or removes a small value if the present one is ``expected``; whether it did."""
        return self._call("setting a shared value", lambda: self._cache.compare_and_set(key, expected, value))

    def _read(self, key: str) -> bytes | None:
        stream = self._cache.read(key)
        if stream is None:
            return None
        with stream:
            value = stream.read(_LARGEST + 1)
        return value if len(value) <= _LARGEST else None

    def _call(self, what: str, call: Callable[[], T]) -> T:
        self._health.check()
        try:
            value = self._guard.call("the cache", what, call, limit=_LIMIT)
        except (DewyError, OSError) as error:
            self._health.failed(error)
            raise error if isinstance(error, CacheError) else CacheError(str(error)) from error
        self._health.worked()
        return value
