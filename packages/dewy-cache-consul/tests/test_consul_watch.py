"""Watching a value: who waits is woken, misses nothing, and is told when the agent is gone."""

from __future__ import annotations

import threading
import time

import pytest

from consul_agent import Agent
from consul_proxy import Proxy
from consul_stores import store_of
from dewy.errors import CacheError
from dewy.testing.cache_fixtures import all_at_once
from dewy_cache_consul.store import ConsulStore


class Watcher(threading.Thread):
    """Watches through a proxy, in a thread of its own, and keeps what came of it and when."""

    def __init__(self, proxy: Proxy, key: str, seen: bytes | None, seconds: float) -> None:
        super().__init__(daemon=True)
        store = store_of(proxy.url)
        self._watch = lambda: store.watch(key, seen, seconds)
        self.value: bytes | None = None
        self.error: CacheError | None = None
        self.ended = 0.0
        self.start()
        deadline = time.monotonic() + 10
        while not any(b"wait=" in request for request in list(proxy.requests)):
            assert time.monotonic() < deadline, "it does not wait"
            time.sleep(0.01)

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


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, b"new"), (b"old", b"new"), (b"old", None), (b"old", b"")],
    ids=["made", "set", "gone", "empty"],
)
def test_change_wakes_at_once(
    agent: Agent, store: ConsulStore, prefix: str, before: bytes | None, after: bytes | None
) -> None:
    """In under half a second, whatever the change is."""
    if before is not None:
        store.set(prefix, before)
    with Proxy(agent.port) as proxy:
        watcher = Watcher(proxy, prefix, before, 30)
        changed = time.monotonic()
        assert store.compare_and_set(prefix, before, after)
        assert watcher.result(10) == after
    assert watcher.ended - changed < 0.5


def test_value_that_differs_already_is_returned_at_once(store: ConsulStore, prefix: str) -> None:
    store.set(prefix, b"new")
    started = time.monotonic()
    assert store.watch(prefix, b"old", 30) == b"new"
    assert store.watch(prefix, None, 30) == b"new"
    assert store.watch(f"{prefix}none", b"old", 30) is None
    assert time.monotonic() - started < 2


def test_end_of_the_time_returns_the_present_value(store: ConsulStore, prefix: str) -> None:
    """Neither sooner nor much later."""
    store.set(prefix, b"same")
    started = time.monotonic()
    assert store.watch(prefix, b"same", 0.6) == b"same"
    assert 0.5 <= time.monotonic() - started < 2
    assert store.watch(prefix, b"same", 0) == b"same"


def test_changes_of_other_keys_do_not_end_it(agent: Agent, store: ConsulStore, prefix: str) -> None:
    """Nor does a change there and back, nor the same value stored again."""
    with Proxy(agent.port) as proxy:
        watcher = Watcher(proxy, f"{prefix}/a", None, 30)
        for number in range(10):
            store.set(f"{prefix}/{number}", b"x")
            store.set(f"{prefix}/a{number}", b"x")
        assert watcher.is_alive()
        assert store.compare_and_set(f"{prefix}/a", None, b"news")
        assert watcher.result(10) == b"news"


def test_no_change_is_missed(agent: Agent, prefix: str) -> None:
    """A writer and three watchers in step: a change may fall anywhere, before, in or after a query."""
    rounds = 60
    writer_store = store_of(agent.url)
    ready = [threading.Semaphore(0) for _ in range(3)]

    def write() -> None:
        present: bytes | None = None
        for number in range(rounds):
            for one in ready:
                assert one.acquire(timeout=20), "a watcher missed a change"
            assert writer_store.compare_and_set(prefix, present, present := str(number).encode())

    def watch(mine: threading.Semaphore) -> None:
        store, seen, last = store_of(agent.url), None, str(rounds - 1).encode()
        while seen != last:
            mine.release()
            started = time.monotonic()
            seen = store.watch(prefix, seen, 25)
            assert time.monotonic() - started < 10, "it was woken by the end of its time only"

    all_at_once([write, *[lambda one=one: watch(one) for one in ready]])


def test_agent_that_dies_is_an_error_at_once(own_agent: Agent) -> None:
    """And when it is back, with nothing kept and its count begun anew, watching goes on."""
    with Proxy(own_agent.port) as proxy:
        watcher = Watcher(proxy, "a", None, 30)
        own_agent.stop()
        with pytest.raises(CacheError, match="ended before"):
            watcher.result(3)
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
        assert store_of(proxy.url).watch(prefix, b"old", 20) == b"new"
    asked = [request.split(b" ")[1] for request in proxy.requests]
    assert [b"index=" in target for target in asked] == [False, True, False, True]
    assert b"index=3&" in asked[3]
