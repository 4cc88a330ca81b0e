"""The upkeep of a shared cache: it never ends by itself, is often enough, and of a whole fleet one host tidies (R45)."""

from __future__ import annotations

import io
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from dewy.backends.bounds import Bounds
from dewy.errors import CacheError, UsageError
from dewy.events import DEWY_FAULT
from dewy.keeping import SharedKeeping
from dewy.keyvalue.cache import KeyValueCache
from dewy.keyvalue.clocks import Clocks
from dewy.sharing.fleet import Fleet
from dewy.sharing.health import CacheHealth
from dewy.sharing.upkeep import seconds_between_looks
from dewy.testing import FakeClock
from dewy.testing.cache_fixtures import value_in
from fleet_hosts import Host, Upstream, eventually, release_of, runtime_of
from kv_store import DictStore

VALUE = b"x" * 300_000


def hosts(number: int, **settings: float) -> list[Host]:
    data = DictStore()
    return [Host(data, Upstream(release_of("v1.0.0")), **settings) for _ in range(number)]


def tidied(host: Host) -> int:
    """How often it has looked for pieces that nothing leads to."""
    return host.store.operations.count(("keys", "dewy/pieces/"))


@pytest.mark.parametrize("error", [UsageError("no such plugin"), CacheError("down"), OSError("gone"), ValueError("odd")])
def test_whatever_goes_wrong_does_not_end_the_upkeep(error: Exception) -> None:
    (host,) = hosts(1)
    looks: list[str] = []

    def in_use() -> list[str]:
        looks.append("look")
        if len(looks) == 2:
            raise error
        return []

    thread = host.upkeep(in_use).start()
    eventually(lambda: len(looks) > 4)
    assert host.said.names == (["dewy.fault"] if isinstance(error, ValueError) else [])
    for fault in host.said.of(DEWY_FAULT):
        assert fault["error"] == "ValueError: odd"
    host.waker.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_it_waits_long_and_ends_at_once() -> None:
    (host,) = hosts(1)
    thread = host.upkeep(every=600).start()
    eventually(lambda: "dewy/names/claims%2Fupkeep" in host.store.values)
    began = time.monotonic()
    host.waker.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - began < 5


def test_one_host_tidies_and_when_it_dies_another_one_does() -> None:
    fleet = hosts(3, life=0.6)
    for host in fleet:
        host.upkeep().start()
    eventually(lambda: max(map(tidied, fleet)) > 20)
    (tidying,) = [host for host in fleet if tidied(host)]
    tidying.cut_off()
    others = [host for host in fleet if host is not tidying]
    eventually(lambda: max(map(tidied, others)) > 20)
    assert min(map(tidied, others)) == 0
    for host in fleet:
        host.waker.stop()


def test_who_has_lost_the_claim_to_tidy_tidies_no_more() -> None:
    """The store was emptied, and another host was quicker to claim."""
    tidying, other = hosts(2, life=0.5)
    tidying.upkeep().start()
    eventually(lambda: tidied(tidying) > 2)
    with ExitStack() as stack:

        def taken_over() -> object:
            tidying.store.values.clear()
            return stack.enter_context(other.claims.held("upkeep"))

        eventually(taken_over)
        eventually(lambda: stands_still(tidying))
    tidying.waker.stop()


def stands_still(host: Host) -> bool:
    before = tidied(host)
    looks = len(host.store.operations)
    eventually(lambda: len(host.store.operations) > looks + 20)
    return tidied(host) == before


@pytest.mark.parametrize(("ttl", "most"), [(None, 600), (60.0, 60 / 8), (3600.0, 3600 / 8), (7 * 86400.0, 600)])
def test_it_looks_often_enough_for_the_time_to_live(ttl: float | None, most: float) -> None:
    assert 1 < seconds_between_looks(ttl) * 1.1 <= most * 1.1
    assert seconds_between_looks(ttl) <= most


def test_the_time_to_live_in_the_url_of_the_cache_is_what_counts(tmp_path: Path) -> None:
    for option, every in (("", 600), ("?artifact-ttl=60s", 60 / 16)):
        runtime = runtime_of(tmp_path, f"dict://upkeep{option}")
        cache = runtime.plugins.cache(runtime.settings.cache, runtime.context)
        fleet = Fleet.of(runtime, cache, CacheHealth(runtime.emit, runtime.waker.monotonic))
        assert fleet
        upkeep = fleet.upkeep(SharedKeeping(cache, lambda _release: "id"))
        assert upkeep
        assert (upkeep.every, upkeep.in_use()) == (every, [])
        fleet.news.learnt(release_of("v1.0.0"))
        assert upkeep.in_use() == ["v1.0.0--app.tar.gz--id"]


# -------------------------------------------------------------------------------------------- what looking at it costs


def caches(number: int, clock: FakeClock, ttl: float, skew: float = 0.0) -> list[tuple[DictStore, KeyValueCache]]:
    """Caches of several hosts; the clock of the first one is wrong."""
    data, made = DictStore(), []
    for index in range(number):
        store, off = data.connect(), 0.0 if index else skew
        clocks = Clocks(lambda off=off: clock.now().timestamp() + off, clock.monotonic)  # type: ignore[misc]
        made.append((store, KeyValueCache(store, "dewy/", Bounds(20, 1 << 30), ttl, clocks)))
    return made


def test_what_all_hosts_need_is_renewed_by_one_of_them() -> None:
    clock = FakeClock()
    fleet = caches(20, clock, 7 * 86400.0)
    fleet[0][1].write("app", io.BytesIO(VALUE))
    for _ in range(30):
        clock.advance(600)
        for _store, cache in fleet:
            cache.renew(["app"])
    renewals = [
        key for store, _cache in fleet for op, key in store.operations if op == "compare_and_set" and "/blobs/" in key
    ]
    assert 30 <= len(renewals) <= 30 + 20 + 2, "each host renews it once when it starts, then one of them at each look"


def test_a_host_that_is_restarted_again_and_again_says_each_time_what_it_needs() -> None:
    """It never lives long enough to see that nobody has said so for long."""
    clock, ttl = FakeClock(), 3600.0
    (store, tidying), (_, using) = caches(2, clock, ttl)
    using.write("app", io.BytesIO(VALUE))
    for _ in range(60):
        clock.advance(300)
        restarted = KeyValueCache(
            store, "dewy/", Bounds(20, 1 << 30), ttl, Clocks(lambda: clock.now().timestamp(), clock.monotonic)
        )
        restarted.renew(["app"])
        tidying.tidy()
    assert value_in(using, "app") == VALUE


@pytest.mark.parametrize("skew", [0.0, 10 * 365 * 86400.0, -10 * 365 * 86400.0])
@pytest.mark.parametrize("ttl", [60.0, 3600.0, 7 * 86400.0])
def test_what_is_in_use_stays_with_any_time_to_live_though_looks_are_missed_now_and_then(ttl: float, skew: float) -> None:
    clock, every = FakeClock(), seconds_between_looks(ttl)
    (_, tidying), (_, using) = caches(2, clock, ttl, skew)
    using.write("app", io.BytesIO(VALUE))
    for look in range(int(1.5 * ttl / every)):
        clock.advance(every * 1.1)
        tidying.tidy()
        if look % 6 > 1:
            using.renew(["app"])
    assert value_in(using, "app") == VALUE


def test_what_a_host_of_the_future_has_used_goes_as_well() -> None:
    """Its clock was years ahead, and it is gone: what it stated of the time must not keep an artifact for years."""
    clock, ttl = FakeClock(), 86400.0
    (store, ahead), (_, tidying) = caches(2, clock, ttl, 10 * 365 * 86400.0)
    ahead.write("app", io.BytesIO(VALUE))
    for _ in range(60):
        tidying.tidy()
        clock.advance(3600)
    assert store.values == {}
