"""A key-value store in this process, for tests: what Redis and Consul are to several hosts, and how they fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dewy import hookimpl
from dewy.errors import CacheError
from dewy.types import SHARED_CACHE_OPTIONS, AtomicCache, Backend, Context
from dewy.urls import BackendURL

__all__ = ["BACKEND", "SERVERS", "DictStore", "Servers", "dewy_caches"]


class DictStore:
    """One host's connection to a store. ``before`` is called with each operation and key, and may raise or wait."""

    def __init__(self, values: dict[str, bytes] | None = None, largest: int = 128 * 1024) -> None:
        self.values = {} if values is None else values
        self.changed = threading.Condition()
        self.before: Callable[[str, str], None] = lambda _operation, _key: None
        self._largest = largest
        self.operations: list[tuple[str, str]] = []

    def connect(self) -> DictStore:
        """Another host's connection to the same store."""
        other = DictStore(self.values, self._largest)
        other.changed = self.changed
        return other

    @property
    def largest(self) -> int:
        return self._largest

    def get(self, key: str) -> bytes | None:
        with self._at("get", key):
            return self.values.get(key)

    def set(self, key: str, value: bytes) -> None:
        assert len(value) <= self._largest, f"{len(value)} bytes under {key}"
        with self._at("set", key):
            self.values[key] = bytes(value)

    def delete(self, key: str) -> None:
        with self._at("delete", key):
            self.values.pop(key, None)

    def keys(self, prefix: str) -> list[str]:
        with self._at("keys", prefix):
            return [key for key in self.values if key.startswith(prefix)]

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        with self._at("compare_and_set", key):
            if self.values.get(key) != expected:
                return False
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
            return True

    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        self.before("watch", key)
        deadline = time.monotonic() + seconds
        with self.changed:
            while self.values.get(key) == seen and (left := deadline - time.monotonic()) > 0:
                self.changed.wait(left)
            return self.values.get(key)

    @contextmanager
    def _at(self, operation: str, key: str) -> Iterator[None]:
        assert 0 < len(key) <= 500
        assert key.isascii(), key
        self.before(operation, key)
        with self.changed:
            self.operations.append((operation, key))
            yield
            self.changed.notify_all()


class Servers:
    """Stores by the host of their URL, so that every opening of one URL leads to the same store."""

    def __init__(self) -> None:
        self._stores: dict[str, DictStore] = {}

    def at(self, host: str) -> DictStore:
        """A connection to the store of a host; ``down`` has none."""
        store = self._stores.setdefault(host, DictStore()).connect()
        if host == "down":

            def refuse(operation: str, key: str) -> None:
                raise CacheError(f"the store does not answer to {operation}", "Start it")

            store.before = refuse
        return store


SERVERS = Servers()


def _open(url: BackendURL, _context: Context) -> AtomicCache:
    from dewy.keyvalue import key_value_cache

    return key_value_cache(SERVERS.at(url.host), url, prefix="dewy/")


BACKEND: Backend[AtomicCache] = Backend(
    schemes=("dict",), summary="a dictionary", examples=("dict://store",), open=_open, options=SHARED_CACHE_OPTIONS
)
"""``dict://NAME``: the same store for the same name, none at all for ``down``."""


@hookimpl
def dewy_caches() -> list[Backend[AtomicCache]]:
    return [BACKEND]
