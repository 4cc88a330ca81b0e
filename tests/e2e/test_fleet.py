"""A fleet that shares a cache: one question to the registry, one download, every version everywhere (R42-R44)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from consul_agent import Agent
from fleet import Counting, Hosts, Members, Upstream, hosts, open_cache, opened_upstream, wait_for_signs_of_life
from redis_server import RedisServer, binary_of
from running import eventually

HOSTS = 10
TTL = 1.0
"""Seconds for which hosts share an answer."""


class Store(Protocol):
    """A server that hosts share, and its outages."""

    url: str

    def restart(self) -> None:
        """Ends it and starts it again, where nothing is kept."""


class OnRedis:
    def __init__(self, server: RedisServer) -> None:
        self.server, self.url = server, server.url

    def restart(self) -> None:
        self.server.stop()
        self.server.start()


class OnConsul:
    def __init__(self, agent: Agent, path: str) -> None:
        self.agent, self.url = agent, f"consul://{agent.address}/{path}"

    def restart(self) -> None:
        self.agent.stop()
        self.agent.start()


@pytest.fixture(params=["redis", "consul"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "consul":
        yield OnConsul(request.getfixturevalue("consul"), tmp_path.name)
        return
    with RedisServer(binary_of(request.param), tmp_path / "redis") as server:
        yield OnRedis(server)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with opened_upstream() as upstream:
        yield upstream


@pytest.fixture
def fleet(store: Store, upstream: Upstream) -> Iterator[Hosts]:
    with hosts(upstream, f"{store.url}?registry-ttl={TTL}s") as fleet:
        yield fleet


@pytest.mark.parametrize("store", ["redis", "valkey", "consul"], indirect=True)
def test_a_fleet_costs_the_registry_what_one_host_costs_and_no_host_skips_a_version(
    fleet: Hosts, upstream: Upstream
) -> None:
    upstream.publish("v1.0.0")
    began = time.monotonic()
    fleet.start(HOSTS)
    for version in ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"):
        if version != "v1.0.0":
            upstream.publish(version)
        fleet.wait_for(version)
    elapsed = time.monotonic() - began
    assert upstream.listings <= elapsed / TTL + 1
    assert upstream.downloads == 4
    for number in range(HOSTS):
        fleet.processes[number].wait_for("deployment.done", version="v1.3.0")
        assert fleet.deployed(number) == ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"]
        assert not fleet.processes[number].of("cache.failed"), fleet.processes[number].tail()


def test_a_host_that_is_killed_while_it_asks_for_all_is_replaced(
    fleet: Hosts, upstream: Upstream, store: Store, tmp_path: Path
) -> None:
    upstream.publish("v1.0.0")
    upstream.hang("api")
    (first,) = fleet.start(1)
    eventually(lambda: upstream.hanging == 1, 20, "the first question")
    others = fleet.start(3)
    for host in others:
        host.wait_for("dewy.ready")
    wait_for_signs_of_life(open_cache(store.url, tmp_path), 2)
    assert upstream.listings == 0, "a second host asked while the first one, which lives, had not been answered"
    first.kill()
    fleet.wait_for("v1.0.0", 60)
    assert upstream.downloads == 1


def test_a_host_that_is_killed_while_it_downloads_for_all_is_replaced(fleet: Hosts, upstream: Upstream) -> None:
    upstream.publish("v1.0.0")
    upstream.hang("storage")
    (first,) = fleet.start(1)
    eventually(lambda: upstream.hanging == 1, 20, "the first download")
    others = fleet.start(3)
    for host in others:
        host.wait_for("artifact.awaited", seconds=10)
    assert upstream.downloads == 0
    first.kill()
    fleet.wait_for("v1.0.0", 60)
    assert upstream.downloads == 1


def test_a_store_that_restarts_empty_in_the_middle_stops_nobody(fleet: Hosts, upstream: Upstream, store: Store) -> None:
    upstream.publish("v1.0.0")
    fleet.start(4)
    fleet.wait_for("v1.0.0")
    upstream.hang("storage")
    upstream.publish("v1.1.0")
    eventually(lambda: upstream.hanging, 20, "a download of v1.1.0")
    store.restart()
    upstream.go_on()
    fleet.wait_for("v1.1.0", 60)
    for host in fleet.processes:
        assert len(host.of("cache.failed")) <= 2, host.tail()


def test_hosts_without_the_store_go_on_alone(fleet: Hosts, upstream: Upstream, store: Store) -> None:
    """Half of them reach it, half do not: all end at the newest version, and say so once."""
    upstream.publish("v1.0.0")
    fleet.start(2)
    alone = fleet.start(2, cache=_elsewhere(store.url))
    for version in ("v1.0.0", "v1.1.0"):
        if version != "v1.0.0":
            upstream.publish(version)
        fleet.wait_for(version)
    for host in alone:
        assert len(host.of("cache.failed")) == 1, host.tail()


def _elsewhere(url: str) -> str:
    return f"{url.partition('://')[0]}://127.0.0.1:9?registry-ttl={TTL}s"


def test_news_makes_a_fleet_converge_long_before_its_interval(store: Store, upstream: Upstream) -> None:
    """Each host polls once in ten minutes; one is made to look."""
    upstream.publish("v1.0.0")
    with hosts(upstream, store.url, interval=600) as fleet:
        fleet.start(3)
        fleet.wait_for("v1.0.0")
        upstream.publish("v1.1.0")
        began = time.monotonic()
        fleet.start(1)
        fleet.wait_for("v1.1.0", 30)
        assert time.monotonic() - began < 20
        assert all(host.of("fleet.news") for host in fleet.processes[:3])


def test_a_thousand_registries_ask_once_in_a_time_to_live(store: Store, tmp_path: Path) -> None:
    upstream = Counting()
    members = Members(1000, store.url, upstream, tmp_path, ttl=TTL)
    versions = ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"]
    for version in versions:
        upstream.version = version
        members.poll(version)
    assert members.failures == []
    assert all(seen == versions for seen in members.seen)
    assert min(later - earlier for earlier, later in zip(upstream.asked, upstream.asked[1:], strict=False)) >= TTL


def test_stopped_hosts_stop_at_once(fleet: Hosts, upstream: Upstream) -> None:
    """Threads that watch the store keep nobody."""
    upstream.publish("v1.0.0")
    (host,) = fleet.start(1)
    fleet.wait_for("v1.0.0")
    began = time.monotonic()
    host.signal(signal.SIGTERM)
    assert host.stop() == 0
    assert time.monotonic() - began < 5
