"""What one host, one plugin or a wrong store may not do to a fleet: hold it up, or have each host ask in turn (R43, R44)."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress

import pytest

from dewy.backoff import retry_after
from dewy.errors import CacheError, RegistryError, UsageError
from dewy.sharing import registry as shared_registry
from dewy.types import Release
from dewy.waker import Stopping
from fleet_hosts import Host, Upstream, eventually, release_of, waits_for
from kv_store import DictStore

ANSWER = "dewy/names/answers%2Fapp"


def fleet(number: int, upstream: Upstream, **settings: float) -> list[Host]:
    data = DictStore()
    return [Host(data, upstream, **settings) for _ in range(number)]


@pytest.mark.parametrize(("ttl", "longest"), [(30.0, 3600.0), (7200.0, 7200.0)])
@pytest.mark.parametrize("seconds", ["1e300", "9" * 400, "86400"])
def test_no_answer_serves_for_ever_whatever_the_store_says(seconds: str, ttl: float, longest: float) -> None:
    upstream = Upstream(release_of("v1.0.0"))
    asking, reading = fleet(2, upstream, ttl=ttl)
    asking.current()
    record = asking.store.values[ANSWER].decode()
    asking.store.values[ANSWER] = record.replace(f'"seconds":{ttl}', f'"seconds":{seconds}').encode()
    assert asking.store.values[ANSWER].decode() != record
    reading.current()
    upstream.release = release_of("v1.1.0")
    reading.later(longest - 1)
    assert reading.current().version == "v1.0.0"
    reading.later(2)
    assert reading.current().version == "v1.1.0"


def odd(error: Exception | object) -> Upstream:
    """A registry whose plugin raises, or returns, what it should not."""
    return Upstream(error)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        (odd(ValueError("no number")), "ValueError: no number"),
        (odd(KeyError("tag")), "KeyError: 'tag'"),
        (odd(RegistryError("")), "RegistryError"),
        (odd(None), "AttributeError"),
        (odd(Release(version="v1", artifact="x", url="https://a/b", size=1j)), "TypeError"),  # type: ignore[arg-type]
    ],
)
def test_whatever_a_plugin_raises_or_returns_is_run_into_by_one_host(upstream: Upstream, reason: str) -> None:
    hosts = fleet(5, upstream)
    for host in hosts:
        with pytest.raises(RegistryError, match=reason):
            host.current()
    assert len(upstream.calls) == 1


def test_a_plugin_that_begins_to_raise_leaves_the_last_answer() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    hosts = fleet(3, upstream)
    for host in hosts:
        host.current()
    upstream.release = ValueError("no number")
    for host in hosts:
        host.later(31)
        assert host.current().version == "v1.0.0"
        assert host.said.names == ["registry.stale"]
    assert len(upstream.calls) == 2


def test_a_reason_as_long_as_a_book_is_shared_in_short() -> None:
    upstream = Upstream(RegistryError("x" * 200_000))
    hosts = fleet(3, upstream)
    for host in hosts:
        with pytest.raises(RegistryError, match="xxx"):
            host.current()
        assert host.said.names == [], "the answer was too large for the store, which was taken for its failure"
    assert len(upstream.calls) == 1


class Limited(RegistryError):
    def __init__(self, asked: object) -> None:
        super().__init__("slow down")
        self.retry_after = asked


def caused(cause: BaseException) -> RegistryError:
    error = RegistryError("no answer")
    error.__cause__ = cause
    return error


def test_a_wait_that_a_cause_asks_for_is_kept_by_the_whole_fleet() -> None:
    upstream = Upstream(caused(Limited(900)))
    hosts = fleet(3, upstream)
    for seconds, calls in ((0, 1), (899, 1), (2, 2)):
        for host in hosts:
            host.later(seconds)
            with pytest.raises(RegistryError):
                host.current()
        assert len(upstream.calls) == calls


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(77, 77), (0.5, 0.5), (None, 0), (0, 0), (-5, 0), ("soon", 0), (float("nan"), 0), (float("inf"), 3600), (1e12, 3600)],
)
def test_what_is_asked_for_is_read_with_care(asked: object, waits: float) -> None:
    assert retry_after(caused(Limited(asked))) == waits


@pytest.mark.timeout(20)
def test_an_error_that_is_its_own_cause_ends() -> None:
    error = RegistryError("odd")
    error.__cause__ = error
    assert retry_after(error) == 0


def test_a_host_that_hangs_in_its_question_is_replaced_though_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_registry, "_LONGEST_QUESTION", 0.5)
    upstream, data = Upstream(release_of("v1.0.0")), DictStore()
    answered = threading.Event()
    hanging = Host(data, Upstream(release_of("v0.0.1"), during=waits_for(answered)), life=0.5)
    thread = threading.Thread(target=hanging.current)
    thread.start()
    eventually(lambda: hanging.upstream.calls)
    try:
        assert Host(data, upstream, life=0.5).current().version == "v1.0.0"
    finally:
        answered.set()
        thread.join(30)
    assert Host(data, upstream).current().version == "v1.0.0", "the late answer has replaced the newer one"


def test_a_question_that_hangs_and_ends_does_not_give_back_the_claim_of_the_next_one() -> None:
    """Both are of the same process."""
    (host,) = fleet(1, Upstream(release_of("v1.0.0")), life=0.5)
    with ExitStack() as hanging:
        first = hanging.enter_context(host.claims.held("x", longest=0.0))
        assert first
        eventually(lambda: first.lost)
        with host.claims.held("x") as second:
            assert second
            hanging.close()
            assert "dewy/names/claims%2Fx" in host.store.values
            assert not second.lost
    assert "dewy/names/claims%2Fx" not in host.store.values


def test_a_claim_that_is_gone_from_the_store_is_lost() -> None:
    (host,) = fleet(1, Upstream(release_of("v1.0.0")), life=0.5)
    with host.claims.held("x") as claim:
        assert claim
        time.sleep(0.3)  # a few signs of life
        assert not claim.lost
        host.store.values.clear()
        eventually(lambda: claim.lost)


def test_a_claim_that_is_held_when_dewy_stops_makes_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    (host,) = fleet(1, Upstream(release_of("v1.0.0")), life=0.5)
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    asked, answered = threading.Event(), threading.Event()

    def slow(_operation: str, _key: str) -> None:
        asked.set()
        answered.wait(60)

    with suppress(Stopping), host.claims.held("x"):
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "claim claims/x"]
        host.store.before = slow
        assert asked.wait(10)
        host.waker.stop()
        thread.join(10)
        answered.set()
        assert not thread.is_alive()
    assert raised == []


@pytest.mark.parametrize(
    "error", [UsageError("odd"), RegistryError("odd"), CacheError("odd"), OSError("odd"), ValueError("odd")]
)
def test_whatever_a_cache_raises_stops_nobody(error: Exception) -> None:
    (host,) = fleet(1, Upstream(release_of("v1.0.0")))

    def fail(_operation: str, _key: str) -> None:
        raise error

    host.store.before = fail
    assert host.current().version == "v1.0.0"
    assert host.said.names == ["cache.failed"]
