"""Watching a value: who waits is woken, misses nothing, and is told when the connection dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dewy.errors import CacheError
from dewy.testing.cache_fixtures import all_at_once
from dewy_cache_redis import store as store_module
from dewy_cache_redis.store import RedisStore
from redis_proxy import Proxy, wait_until
from redis_server import RedisServer
from redis_stores import store_of


class Watcher(threading.Thread):
    """Watches in a thread of its own, and keeps what came of it and when."""

    def __init__(self, store: RedisStore, key: str, seen: bytes | None, seconds: float) -> None:
        super().__init__(daemon=True)
        self._watch = lambda: store.watch(key, seen, seconds)
        self.value: bytes | None = None
        self.error: CacheError | None = None
        self.ended = 0.0
        self.start()

    def run(self) -> None:
        try:
            self.value = self._watch()
        except CacheError as error:
            self.error = error
        self.ended = time.monotonic()

    def result(self, within: float) -> bytes | None:
        self.join(within)
        assert not self.is_alive(), "it still waits"
        if self.error:
            raise self.error
        return self.value


def watchers_of(server: RedisServer, key: str) -> int:
    return int(server.admin("PUBSUB", "NUMSUB", key)[1])


def watched(server: RedisServer, key: str) -> Callable[[], bool]:
    return lambda: watchers_of(server, key) > 0


@contextmanager
def fails_within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(CacheError):
        yield
    assert time.monotonic() - started < seconds


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, b"new"), (b"old", b"new"), (b"old", None), (b"old", b"")],
    ids=["made", "set", "gone", "empty"],
)
def test_change_wakes_at_once(
    server: RedisServer, store: RedisStore, prefix: str, before: bytes | None, after: bytes | None
) -> None:
    """In under half a second, whatever the change is."""
    if before is not None:
        store.set(prefix, before)
    watcher = Watcher(store_of(server.url), prefix, before, 30)
    wait_until(watched(server, prefix))
    changed = time.monotonic()
    assert store.compare_and_set(prefix, before, after)
    assert watcher.result(10) == after
    assert watcher.ended - changed < 0.5


def test_value_that_differs_already_is_returned_at_once(store: RedisStore, prefix: str) -> None:
    store.set(prefix, b"new")
    started = time.monotonic()
    assert store.watch(prefix, b"old", 30) == b"new"
    assert store.watch(prefix, None, 30) == b"new"
    assert store.watch(f"{prefix}none", b"old", 30) is None
    assert time.monotonic() - started < 2


def test_end_of_the_time_returns_the_present_value(store: RedisStore, prefix: str) -> None:
    """Neither sooner nor much later."""
    store.set(prefix, b"same")
    started = time.monotonic()
    assert store.watch(prefix, b"same", 0.4) == b"same"
    assert 0.4 <= time.monotonic() - started < 2
    assert store.watch(prefix, b"same", 0) == b"same"


def test_no_change_is_missed(server: RedisServer, prefix: str) -> None:
    """A writer and three watchers in step: a change may fall anywhere, before, in or after the subscription."""
    rounds = 100
    writer_store = store_of(server.url)
    seen_by_all = [threading.Semaphore(0) for _ in range(3)]

    def write() -> None:
        present: bytes | None = None
        for number in range(rounds):
            for one in seen_by_all:
                assert one.acquire(timeout=20), "a watcher missed a change"
            assert writer_store.compare_and_set(prefix, present, present := str(number).encode())

    def watch(ready: threading.Semaphore) -> None:
        store, seen, last = store_of(server.url), None, str(rounds - 1).encode()
        while seen != last:
            ready.release()
            started = time.monotonic()
            seen = store.watch(prefix, seen, 25)
            assert time.monotonic() - started < 15, "it was woken by the end of its time only"

    all_at_once([write, *[lambda one=one: watch(one) for one in seen_by_all]])


def test_message_without_a_change_is_no_change(server: RedisServer, store: RedisStore, prefix: str) -> None:
    """Somebody else may use the channel, and a value may change there and back."""
    watcher = Watcher(store, prefix, None, 30)
    wait_until(watched(server, prefix))
    server.admin("PUBLISH", prefix, "hello")
    assert store.compare_and_set(prefix, None, b"")
    assert watcher.result(10) == b""


def test_watchers_take_no_connection_of_the_others(server: RedisServer, prefix: str) -> None:
    """However many watch, calls go on."""
    store = store_of(server.url)
    watchers = [Watcher(store, prefix, None, 30) for _ in range(20)]
    wait_until(lambda: watchers_of(server, prefix) == 20)
    assert store.get(prefix) is None
    assert store.compare_and_set(prefix, None, b"x")
    assert [watcher.result(10) for watcher in watchers] == [b"x"] * 20
    wait_until(lambda: watchers_of(server, prefix) == 0)


def test_server_that_dies_is_an_error_at_once(own_server: RedisServer) -> None:
    store = store_of(own_server.url)
    watcher = Watcher(store, "a", None, 30)
    wait_until(watched(own_server, "a"))
    own_server.stop()
    with fails_within(2):
        watcher.result(10)


def test_connection_that_is_closed_is_an_error_at_once(own_server: RedisServer) -> None:
    """Not mended in silence: what changed meanwhile would be missed."""
    watcher = Watcher(store_of(own_server.url), "a", None, 30)
    wait_until(watched(own_server, "a"))
    own_server.admin("CLIENT", "KILL", "TYPE", "pubsub")
    with fails_within(2):
        watcher.result(10)


def _pinged_after_reading(requests: list[bytes]) -> bool:
    """Whether it waits by now; that a new connection is tried out is no sign of it."""
    read = [index for index, request in enumerate(requests) if b"GET" in request]
    return bool(read) and any(b"PING" in request for request in requests[read[0] + 1 :])


def test_connection_that_dies_in_silence_is_noticed(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a PING now and then that is not answered."""
    monkeypatch.setattr(store_module, "_PING_AFTER", 0.2)
    monkeypatch.setattr(store_module, "_PONG", 0.5)
    with Proxy(server.port) as proxy:
        watcher = Watcher(store_of(f"redis://127.0.0.1:{proxy.port}"), prefix, None, 30)
        wait_until(lambda: _pinged_after_reading(proxy.requests))
        proxy.mute()
        with fails_within(3):
            watcher.result(10)


def test_connection_that_is_only_quiet_is_kept(
    server: RedisServer, store: RedisStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PING that is answered changes nothing: a change still wakes, and the time still ends."""
    monkeypatch.setattr(store_module, "_PING_AFTER", 0.05)
    with Proxy(server.port) as proxy:
        watcher = Watcher(store_of(f"redis://127.0.0.1:{proxy.port}"), prefix, None, 30)
        wait_until(lambda: sum(b"PING" in request for request in proxy.requests) >= 3)
        assert store.compare_and_set(prefix, None, b"x")
        assert watcher.result(10) == b"x"
    assert store.watch(prefix, b"x", 0.3) == b"x"
