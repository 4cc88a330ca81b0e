"""What the tests of caches build on: the flags that say what a cache can, and the fixtures to override."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, ClassVar

import pytest

from dewy.testing.backend import BackendConformance
from dewy.testing.context import TestContext
from dewy.types import Cache

__all__ = ["KEY", "CacheFixtures", "all_at_once", "digest_in", "rest_of", "value_in", "write"]

KEY = "v1.4.0--app_linux_amd64.tar.gz"
"""A key as the core uses them."""

_PIECE = 256 * 1024


class CacheFixtures(BackendConformance):
    """What the tests of caches have in common."""

    __test__ = False
    hook = "dewy_caches"
    kind = "cache"

    remote: ClassVar[bool] = True
    """Whether the store can be down or refuse. Needs the fixture ``unreachable``."""

    shared: ClassVar[bool] = True
    """Whether all who open one URL see the same values: another process, another host, this process after a restart."""

    streams: ClassVar[bool] = True
    """Whether values pass through in pieces, so that memory does not grow with them."""

    atomic: ClassVar[bool] = False
    """Whether it has compare-and-set: is an AtomicCache."""

    pins: ClassVar[bool] = False
    """Whether it removes old values by itself: is a PinningCache. Needs the fixture ``small_url``."""

    watches: ClassVar[bool] = False
    """Whether its store tells of changes: is a WatchableCache."""

    tidies: ClassVar[bool] = False
    """Whether it lets go what grows old, and is told what is in use: is a TidyingCache."""

    @pytest.fixture
    def url(self) -> str:
        """The URL of an empty cache with room for 60 values and 64 MiB, to be overridden."""
        raise NotImplementedError("override the fixture 'url'")

    @pytest.fixture
    def unreachable(self) -> str:
        """The URL of a cache that does not work, to be overridden if ``remote``."""
        raise NotImplementedError("override the fixture 'unreachable'")

    @pytest.fixture
    def small_url(self) -> str:
        """The URL of an empty cache with room for 3 values, to be overridden if ``pins``."""
        raise NotImplementedError("override the fixture 'small_url'")

    @pytest.fixture
    def cache(self, url: str, context: TestContext) -> Any:
        """The empty cache."""
        return self.open(url, context)

    @pytest.fixture
    def reopen(self, url: str, context: TestContext, cache: Cache) -> Callable[[], Any]:
        """Gives what another process sees that opens the same URL; the same object if values are not ``shared``."""
        return (lambda: self.open(url, context)) if self.shared else (lambda: cache)


def write(cache: Cache, key: str, value: bytes) -> None:
    """Stores a value."""
    cache.write(key, io.BytesIO(value))


def rest_of(stream: BinaryIO) -> bytes:
    """All that is left in a stream, read in pieces."""
    return b"".join(iter(lambda: stream.read(_PIECE), b""))


def value_in(cache: Cache, key: str) -> bytes | None:
    """A value; None when there is none."""
    stream = cache.read(key)
    if stream is None:
        return None
    with stream:
        return rest_of(stream)


def digest_in(cache: Cache, key: str) -> str:
    """SHA-256 of a value in hex, read in pieces; empty when there is none."""
    stream = cache.read(key)
    if stream is None:
        return ""
    hasher = hashlib.sha256()
    with stream:
        for piece in iter(lambda: stream.read(_PIECE), b""):
            hasher.update(piece)
    return hasher.hexdigest()


def all_at_once(calls: Sequence[Callable[[], object]]) -> None:
    """Makes all calls at the same moment, each in its own thread. Raises what the first one raised that did."""
    gate = threading.Barrier(len(calls))
    errors: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            gate.wait(10)
            call()
        except BaseException as error:  # raised again below, in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
