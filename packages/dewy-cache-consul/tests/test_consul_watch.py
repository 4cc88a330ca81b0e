"""Watching a value: who waits is woken, misses nothing, and is told when the agent is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from consul_agent import Agent
from consul_stores import store_of
from dewy.errors import CacheError
from dewy_cache_consul.store import ConsulStore
from server_processes import wait_until
from store_checks import WatchableStoreTests, Watcher
from tcp_proxy import Proxy


def waits_through(proxy: Proxy, key: str) -> bool:
    """Whether a query for a key has been sent that waits for a change."""
    return any(f"/{key}?".encode() in request and b"wait=" in request for request in list(proxy.requests))


class TestWatching(WatchableStoreTests):
    @pytest.fixture
    def proxy(self, agent: Agent) -> Iterator[Proxy]:
        with Proxy(agent.port) as proxy:
            yield proxy

    @pytest.fixture
    def connect(self, proxy: Proxy) -> Callable[[], ConsulStore]:
        return lambda: store_of(f"consul://{proxy.address}")

    @pytest.fixture
    def waits(self, proxy: Proxy) -> Callable[[str], bool]:
        return lambda key: waits_through(proxy, key)


def test_same_value_stored_again_does_not_end_it(agent: Agent, prefix: str) -> None:
    """The agent answers, for the key was touched: dewy looks at the value, and waits on."""
    with Proxy(agent.port) as proxy:
        store = store_of(f"consul://{proxy.address}")
        store.set(prefix, b"old")
        watcher = Watcher(store, prefix, b"old")
        wait_until(lambda: waits_through(proxy, prefix))
        asked = len(proxy.requests)
        assert agent.ask("PUT", f"/v1/kv/{prefix}?flags=7", b"old")[0] == 200
        wait_until(lambda: len(proxy.requests) > asked)
        assert store.compare_and_set(prefix, b"old", b"news")
        assert watcher.result() == b"news"


def test_agent_that_dies_is_an_error_at_once(own_agent: Agent) -> None:
    """And when it is back, with nothing kept and its count begun anew, watching goes on."""
    with Proxy(own_agent.port) as proxy:
        watcher = Watcher(store_of(f"consul://{proxy.address}"), "a", None)
        wait_until(lambda: waits_through(proxy, "a"))
        own_agent.stop()
        with pytest.raises(CacheError, match="ended before"):
            watcher.result()
    own_agent.start()
    store = store_of(own_agent.url)
    assert store.watch("a", b"old", 5) is None
    assert store.watch("a", None, 0.2) is None


def test_index_that_goes_back_begins_anew(prefix: str) -> None:
    """A store that was restored counts from less: the next query asks for the value as it is, and waits for no number."""

    def words(index: int, value: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nX-Consul-Index: %d\r\nContent-Length: %d\r\n\r\n%s" % (index, len(value), value)

    with Proxy(0) as proxy:
        answers = iter([words(900, b"old"), words(3, b"old"), words(3, b"old"), words(4, b"new")])
        proxy.answers = lambda _request: next(answers)
        assert store_of(f"consul://{proxy.address}").watch(prefix, b"old", 20) == b"new"
    asked = [request.split(b" ")[1] for request in proxy.requests]
    assert [b"index=" in target for target in asked] == [False, True, False, True]
    assert b"index=3&" in asked[3]
