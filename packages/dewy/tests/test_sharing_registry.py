"""One question to the registry for a fleet: who asks, who waits, what serves when it fails (R43)."""

from __future__ import annotations

import threading
import time

import pytest

from dewy import events
from dewy.errors import RegistryError, ReleasePending
from dewy.sharing import registry as shared_registry
from dewy.types import ListedFile, Release
from fleet_hosts import Host, Upstream, release_of, waits_for
from kv_store import DictStore

NINE = b'{"version":"v9","artifact":"x","url":"https://a.b/c","size":12,"digests":[],"checksums":[]}'
"""A release as it is stored."""


def at_once(hosts: list[Host]) -> list[Release]:
    got: list[Release] = []
    threads = [threading.Thread(target=lambda host=host: got.append(host.current())) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(got) == len(hosts)
    return got


def fleet(number: int, upstream: Upstream, **settings: float) -> list[Host]:
    store = DictStore()
    return [Host(store, upstream, **settings) for _ in range(number)]


def test_a_hundred_hosts_that_ask_at_once_ask_the_registry_once() -> None:
    upstream = Upstream(release_of("v1.0.0"), during=lambda: time.sleep(0.3))
    assert {release.version for release in at_once(fleet(100, upstream))} == {"v1.0.0"}
    assert len(upstream.calls) == 1


def test_an_answer_serves_for_its_time_and_then_one_host_asks_again() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    hosts = fleet(5, upstream)
    at_once(hosts)
    upstream.release = release_of("v1.1.0")
    for host in hosts:
        host.later(29)
        assert host.current().version == "v1.0.0"
    for host in hosts:
        host.later(2)
    assert {release.version for release in at_once(hosts)} == {"v1.1.0"}
    assert len(upstream.calls) == 2


def test_clocks_that_are_years_apart_do_no_harm() -> None:
    upstream, store = Upstream(release_of("v1.0.0")), DictStore()
    hosts = [Host(store, upstream, skew=skew) for skew in (0.0, 1e8, -1e8, 3600.0)]
    at_once(hosts)
    at_once(hosts)
    assert len(upstream.calls) == 1
    upstream.release = release_of("v1.1.0")
    for host in hosts:
        host.later(31)
    assert {release.version for release in at_once(hosts)} == {"v1.1.0"}
    assert len(upstream.calls) == 2


def test_a_claimant_that_dies_is_replaced() -> None:
    """Its claim is there and shows no sign of life."""
    upstream, store = Upstream(release_of("v1.0.0")), DictStore()
    store.values["dewy/names/claims%2Fanswer%20app"] = b'={"holder": "dead", "beat": "1"}'
    hosts = [Host(store, upstream, life=0.6) for _ in range(5)]
    started = time.monotonic()
    assert {release.version for release in at_once(hosts)} == {"v1.0.0"}
    assert 0.5 < time.monotonic() - started < 10
    assert len(upstream.calls) == 1


def test_a_claimant_that_dies_after_signs_of_life_is_replaced_a_life_later_and_nobody_spins() -> None:
    upstream, store = Upstream(release_of("v1.0.0")), DictStore()
    dying, waiting = Host(store, upstream, life=1.0), Host(store, upstream, life=1.0)
    with dying.claims.held("answer app") as mine:
        assert mine
        timer = threading.Timer(0.7, dying.cut_off)
        timer.start()
        started = time.monotonic()
        assert waiting.current().version == "v1.0.0"
        assert 1.2 < time.monotonic() - started < 2.5
        assert len(waiting.store.operations) < 60
        timer.join()


def test_a_slow_claimant_that_lives_is_not_replaced() -> None:
    upstream = Upstream(release_of("v1.0.0"), during=lambda: time.sleep(2.0))
    at_once(fleet(4, upstream, life=0.5))
    assert len(upstream.calls) == 1


def test_who_waits_too_long_takes_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_registry, "_PATIENCE", 0.5)
    upstream = Upstream(release_of("v1.0.0"))
    slow, other = fleet(2, upstream)
    at_once([slow, other])
    answered = threading.Event()
    upstream.during = waits_for(answered)
    slow.later(31)
    other.later(31)
    thread = threading.Thread(target=slow.current)
    thread.start()
    while len(upstream.calls) < 2:
        time.sleep(0.01)
    assert other.current().version == "v1.0.0"
    answered.set()
    thread.join(10)
    assert len(upstream.calls) == 2


def test_who_waits_for_the_first_answer_too_long_has_nothing_to_deploy_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_registry, "_PATIENCE", 0.5)
    store = DictStore()
    host = Host(store, Upstream(release_of("v1.0.0")))
    with host.claims.held("answer app") as mine:
        assert mine
        with pytest.raises(ReleasePending, match="another host asks"):
            Host(store, Upstream(release_of("v1.0.0"))).current()


def test_a_failing_registry_leaves_the_last_answer_with_one_warning() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    asking, reading = fleet(2, upstream)
    at_once([asking, reading])
    upstream.release = RegistryError("the store is on fire")
    for host in (asking, reading):
        host.later(31)
    for _ in range(3):
        for host in (asking, reading):
            assert host.current().version == "v1.0.0"
    for host in (asking, reading):
        assert host.said.names == ["registry.stale"]
        assert "on fire" in host.said.texts()[0]
    assert len(upstream.calls) == 2, "a registry that fails is left alone, by all hosts"


def test_a_failure_that_lasts_is_told_to_people_and_so_is_its_end() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    (host,) = fleet(1, upstream)
    host.current()
    upstream.release = RegistryError("the store is on fire")
    for _ in range(5):
        host.later(301)
        host.current()
    assert host.said.names == ["registry.stale", "registry.stale_long"]
    upstream.release = release_of("v1.1.0")
    host.later(301)
    assert host.current().version == "v1.1.0"
    (recovered,) = host.said.of(events.REGISTRY_RECOVERED)
    assert recovered["failures"] == 5


def test_a_short_failure_ends_without_a_message() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    (host,) = fleet(1, upstream)
    host.current()
    upstream.release = RegistryError("a hiccup")
    host.later(31)
    host.current()
    upstream.release = release_of("v1.1.0")
    host.later(61)
    assert host.current().version == "v1.1.0"
    assert host.said.names == ["registry.stale", "registry.fresh"]


def test_a_registry_that_never_answered_is_an_error_for_all_and_asked_ever_less_often() -> None:
    upstream = Upstream(RegistryError("no such bucket"))
    hosts = fleet(5, upstream)
    for host in hosts:
        with pytest.raises(RegistryError, match="no such bucket"):
            host.current()
    assert len(upstream.calls) == 1
    for expected in (2, 3):
        for host in hosts:
            host.later(61 * expected)
            with pytest.raises(RegistryError):
                host.current()
        assert len(upstream.calls) == expected


def test_a_version_that_is_on_its_way_is_on_its_way_for_all() -> None:
    upstream = Upstream(ReleasePending("no artifact yet"))
    hosts = fleet(3, upstream)
    for host in hosts:
        with pytest.raises(ReleasePending, match="no artifact yet"):
            host.current()
    assert len(upstream.calls) == 1


def test_without_the_store_each_host_asks_by_itself_with_one_warning_and_comes_back() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    cut, other = fleet(2, upstream)
    at_once([cut, other])
    cut.cut_off()
    upstream.release = release_of("v1.1.0")
    for _ in range(4):
        assert cut.current().version == "v1.1.0"
        cut.later(40)
    assert cut.said.names == ["cache.failed"]
    assert other.current().version == "v1.0.0"
    cut.reconnect()
    cut.later(40)
    cut.current()
    assert cut.said.names == ["cache.failed", "cache.recovered"]


def test_a_store_that_is_down_is_not_waited_for_at_every_poll() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    (host,) = fleet(1, upstream)
    tried = []

    def slow_refusal(operation: str, key: str) -> None:
        tried.append(operation)
        raise OSError("timed out")

    host.store.before = slow_refusal
    for _ in range(5):
        host.current()
    assert len(tried) == 1


@pytest.mark.parametrize(
    "record",
    [
        b"", b"=", b"=null", b'={"format": 1}', b"=[1]", b"@broken", b"\x00\xff",
        b'={"format":1,"stamp":"x","seconds":1e999,"release":null}',
        b'={"format":1,"stamp":"x","seconds":30,"release":{"version":"v9","artifact":"../../x","url":"https://a/b","checksums":[]}}',
        b'={"format":1,"stamp":"x","seconds":30,"release":{"version":9,"artifact":"x","url":"https://a/b","checksums":[]}}',
        b'={"format":1,"stamp":"x","seconds":30,"release":{"version":"v9","artifact":"x","url":"/etc/passwd","checksums":[]}}',
        b'={"format":1,"stamp":"x","seconds":30,"release":null}',
        b'={"format":1,"stamp":"x","seconds":30,"failures":-1,"release":' + NINE + b"}",
        b'={"format":1,"stamp":"x","seconds":30,"failures":' + b"9" * 4000 + b',"release":' + NINE + b"}",
        b'={"format":1,"stamp":"x","seconds":30,"release":' + NINE.replace(b"12", b"-1") + b"}",
        b'={"format":1,"stamp":"x","seconds":30,"release":' + NINE.replace(b"12", b"9" * 4000) + b"}",
        b'={"format":1,"stamp":"x","seconds":30,"release":' + NINE.replace(b"a.b", b"\\ud800") + b"}",
        b'={"format":1,"stamp":"x","seconds":30,"release":' + NINE.replace(b"[]", b'["\\ud800"]') + b"}",
        b'={"format":1,"stamp":"x","seconds":"30","release":' + NINE + b"}",
        b"=" + b"[" * 60_000, b'={"format":' * 6000,
    ],
    ids=lambda record: repr(record[:40]) if len(record) < 100 else f"{record[:20]!r}...{len(record)}",
)  # fmt: skip
def test_what_is_no_answer_is_not_believed(record: bytes) -> None:
    upstream, store = Upstream(release_of("v1.0.0")), DictStore()
    store.values["dewy/names/answers%2Fapp"] = record
    assert Host(store, upstream).current().version == "v1.0.0"


def test_an_answer_as_it_is_stored_is_believed() -> None:
    """What the test before this one damages is right but for that."""
    store = DictStore()
    store.values["dewy/names/answers%2Fapp"] = b'={"format":1,"stamp":"x","seconds":30,"release":' + NINE + b"}"
    assert Host(store, Upstream(release_of("v1.0.0"))).current().version == "v9"


def test_all_that_a_release_states_comes_to_every_host() -> None:
    full = release_of(
        "v1.0.0", size=7, digests=("sha256:" + "a" * 64,), fingerprint="etag", id="r1",
        published=ListedFile("x", "y").modified,
        checksums=(ListedFile("checksums.txt", "https://example.com/c", 3, None, "etag2"),),
    )  # fmt: skip
    asking, reading = fleet(2, Upstream(full))
    assert asking.current() == reading.current() == full
    assert (asking.resolved, reading.resolved) == (["v1.0.0"], [])


def test_checksum_files_are_read_again_only_when_the_release_has_changed() -> None:
    upstream = Upstream(release_of("v1.0.0"))
    (host,) = fleet(1, upstream)
    for _ in range(3):
        host.current()
        host.later(31)
    upstream.release = release_of("v1.1.0")
    host.current()
    assert host.resolved == ["v1.0.0", "v1.1.0"]
    assert len(upstream.calls) == 4


def test_news_wakes_the_others_and_not_who_knows_it() -> None:
    upstream, store = Upstream(release_of("v1.0.0")), DictStore()
    one, two, three = (Host(store, upstream) for _ in range(3))
    for host in (one, two, three):
        host.news.learnt(release_of("v1.0.0"))
        host.news.listen(0.05)
    three.news.learnt(release_of("v1.1.0"))
    for host in (one, two):
        started = time.monotonic()
        host.waker.sleep(10)
        assert time.monotonic() - started < 3
        assert host.said.names == ["fleet.news"]
    assert three.said.names == []
    for host in (one, two, three):
        host.waker.stop()


def test_hosts_that_see_different_versions_do_not_wake_each_other_without_end() -> None:
    """The registry's own copies may differ for a while: each host tells what is new to it, once."""
    upstream, store = Upstream(release_of("v1.0.0")), DictStore()
    old, new = Host(store, upstream), Host(store, upstream)
    for _ in range(5):
        old.news.learnt(release_of("v1.0.0"))
        new.news.learnt(release_of("v1.1.0"))
    told = [key for host in (old, new) for operation, key in host.store.operations if operation == "compare_and_set"]
    assert len(told) == 2
