"""Sentinels: they are asked where the master is, and again when it is another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from dewy.errors import CacheError
from dewy_cache_redis.store import RedisStore
from redis_server import KINDS, RedisServer, binary_of
from redis_stores import store_of
from server_processes import free_port, wait_until
from store_checks import Watcher, failure_of

PASSWORD = "s3cret-of-the-data"
SENTINELS_PASSWORD = "s3cret-of-the-sentinels"


@dataclass
class Watched:
    """A master, a replica, and a Sentinel that fails over after a second."""

    master: RedisServer
    replica: RedisServer
    sentinel: RedisServer

    def url(self, service: str = "mymaster", password: str = PASSWORD, more: str = "") -> str:
        """Its first Sentinel is down, as one of several may be."""
        sentinels = f"127.0.0.1:{free_port()},127.0.0.1:{self.sentinel.port}"
        return f"redis+sentinel://:{password}@{sentinels}/{service}/0?sentinel-password={SENTINELS_PASSWORD}{more}"


@pytest.fixture(params=KINDS)
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    binary = binary_of(request.param)
    secrets = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer(binary, tmp_path / "master", *secrets))
        of_master = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(RedisServer(binary, tmp_path / "replica", *secrets, *of_master))
        wait_until(lambda: replica.admin("ROLE", password=PASSWORD)[3] == b"connected")
        configuration = (
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 1",
            f"sentinel auth-pass mymaster {PASSWORD}",
            "sentinel down-after-milliseconds mymaster 1000",
            "sentinel failover-timeout mymaster 2000",
            f"requirepass {SENTINELS_PASSWORD}",
        )
        sentinel = stack.enter_context(RedisServer(binary, tmp_path / "sentinel", sentinel=configuration))
        yield Watched(master, replica, sentinel)


def has_claimed(store: RedisStore, key: str, value: bytes) -> bool:
    try:
        return store.compare_and_set(key, None, value) or store.get(key) == value
    except CacheError:
        return False  # there is no new master yet


def test_fail_over(watched: Watched) -> None:
    """The master dies: errors until there is a new one, then all goes on, on the same store; watchers are told."""
    store = store_of(watched.url())
    store.set("a", b"before")
    assert store.watch("a", b"older", 5) == b"before"
    wait_until(lambda: watched.replica.admin("GET", "a", password=PASSWORD) == b"before")
    info = "SENTINEL", "REPLICAS", "mymaster"
    wait_until(lambda: len(watched.sentinel.admin(*info, password=SENTINELS_PASSWORD)) == 1, within=20)
    watcher = Watcher(store, "a", b"before")
    wait_until(lambda: watched.master.admin("PUBSUB", "NUMSUB", "a", password=PASSWORD)[1])
    watched.master.stop()
    with pytest.raises(CacheError, match="Connection refused"):
        store.get("a")
    with pytest.raises(CacheError):
        watcher.result()
    wait_until(lambda: has_claimed(store, "claim", b"mine"), within=40)
    assert store.get("a") == b"before"
    assert watched.replica.admin("GET", "claim", password=PASSWORD) == b"mine"


@pytest.mark.parametrize("watched", ["redis"], indirect=True)
def test_sentinels_that_do_not_help(watched: Watched) -> None:
    """An unknown service, wrong passwords, no Sentinel at all, one that is behind: each is said, without a secret."""
    alone = f"redis+sentinel://:{PASSWORD}@127.0.0.1:{watched.sentinel.port}/mymaster"
    not_one = f"redis+sentinel://127.0.0.1:{watched.replica.port}/mymaster?sentinel-password={PASSWORD}"
    cases = {
        watched.url(service="other"): "knows no service",
        watched.url(password="wrong"): "does not take the user name",
        alone: "wants a password",
        f"{alone}?sentinel-password=wrong": "does not take",
        not_one: "lacks a command",
        f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/m": "Connection refused",
    }
    for url, says in cases.items():
        error = failure_of(partial(store_of(url).get, "a"), secrets=[PASSWORD, SENTINELS_PASSWORD])
        assert says in error.message, url


@pytest.mark.parametrize("watched", ["redis"], indirect=True)
def test_replica_is_never_taken_for_the_master(watched: Watched) -> None:
    """Its values may be old: Sentinels that are behind are not believed."""
    store = store_of(watched.url())
    watched.sentinel.stop()
    watched.sentinel.start()
    store.get("a")
    watched.master.admin("REPLICAOF", "127.0.0.1", watched.replica.port, password=PASSWORD)
    with pytest.raises(CacheError, match=r"not the master|read-only"):
        store.compare_and_set("a", None, b"x")
    with pytest.raises(CacheError, match="not the master"):
        store_of(watched.url()).get("a")
