"""Watching a value: who waits is woken, misses nothing, and is told when the connection dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dewy.errors import CacheError
from dewy_cache_redis import store as store_module
from dewy_cache_redis.store import RedisStore
from redis_server import RedisServer
from redis_stores import store_of
from server_processes import wait_until
from store_checks import WatchableStoreTests, Watcher
from tcp_proxy import Proxy


def watchers_of(server: RedisServer, key: str) -> int:
    return int(server.admin("PUBSUB", "NUMSUB", key)[1])


def waits_through(proxy: Proxy, key: str) -> bool:
    """Whether a key has been read, which is the last step before waiting, and nobody is still reading."""
    asked = [request for request in list(proxy.requests) if b"GET\r\n" in request]
    answered = sum(reply.startswith(b"$") for reply in list(proxy.replies))
    return any(f"\r\n{key}\r\n".encode() in request for request in asked) and answered >= len(asked)


class TestWatching(WatchableStoreTests):
    @pytest.fixture
    def proxy(self, server: RedisServer) -> Iterator[Proxy]:
        with Proxy(server.port) as proxy:
            yield proxy

    @pytest.fixture
    def connect(self, proxy: Proxy) -> Callable[[], RedisStore]:
        return lambda: store_of(f"redis://{proxy.address}")

    @pytest.fixture
    def waits(self, proxy: Proxy) -> Callable[[str], bool]:
        return lambda key: waits_through(proxy, key)


def test_message_without_a_change_is_no_change(server: RedisServer, store: RedisStore, prefix: str) -> None:
    """Somebody else may use the channel, and a value may change there and back."""
    watcher = Watcher(store, prefix, None)
    wait_until(lambda: watchers_of(server, prefix))
    server.admin("PUBLISH", prefix, "hello")
    assert store.compare_and_set(prefix, None, b"")
    assert watcher.result() == b""


def test_watchers_take_no_connection_of_the_others(server: RedisServer, prefix: str) -> None:
    """However many watch, calls go on."""
    store = store_of(server.url)
    watchers = [Watcher(store, prefix, None) for _ in range(20)]
    wait_until(lambda: watchers_of(server, prefix) == 20)
    assert store.get(prefix) is None
    assert store.compare_and_set(prefix, None, b"x")
    assert [watcher.result() for watcher in watchers] == [b"x"] * 20
    wait_until(lambda: watchers_of(server, prefix) == 0)


def test_server_that_dies_is_an_error_at_once(own_server: RedisServer) -> None:
    """Before it would be noticed that the server is silent."""
    watcher = Watcher(store_of(own_server.url), "a", None)
    wait_until(lambda: watchers_of(own_server, "a"))
    own_server.stop()
    with pytest.raises(CacheError):
        watcher.result()


def test_connection_that_is_closed_is_an_error_at_once(own_server: RedisServer) -> None:
    """Not mended in silence: what changed meanwhile would be missed."""
    watcher = Watcher(store_of(own_server.url), "a", None)
    wait_until(lambda: watchers_of(own_server, "a"))
    own_server.admin("CLIENT", "KILL", "TYPE", "pubsub")
    with pytest.raises(CacheError):
        watcher.result()


def _pinged_after_reading(requests: list[bytes]) -> bool:
    """Whether it waits by now; that a new connection is tried out is no sign of it."""
    read = [index for index, request in enumerate(requests) if b"GET" in request]
    return bool(read) and any(b"PING" in request for request in requests[read[0] + 1 :])


def test_connection_that_dies_in_silence_is_noticed(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a PING now and then that is not answered."""
    monkeypatch.setattr(store_module, "_PING_AFTER", 0.2)
    monkeypatch.setattr(store_module, "_PONG", 2.0)  # a server on a busy machine has time to answer
    with Proxy(server.port) as proxy:
        watcher = Watcher(store_of(f"redis://{proxy.address}"), prefix, None)
        wait_until(lambda: _pinged_after_reading(list(proxy.requests)))
        assert watcher.is_alive()
        proxy.mute()
        with pytest.raises(CacheError):
            watcher.result(15)


def test_connection_that_is_only_quiet_is_kept(
    server: RedisServer, store: RedisStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PING that is answered changes nothing: a change still wakes, and the time still ends."""
    monkeypatch.setattr(store_module, "_PING_AFTER", 0.05)
    with Proxy(server.port) as proxy:
        watcher = Watcher(store_of(f"redis://{proxy.address}"), prefix, None)
        wait_until(lambda: sum(b"PING" in request for request in list(proxy.requests)) >= 3)
        assert store.compare_and_set(prefix, None, b"x")
        assert watcher.result() == b"x"
    assert store.watch(prefix, b"x", 0.3) == b"x"
