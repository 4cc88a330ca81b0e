"""The store: values, listings, compare-and-set."""

from __future__ import annotations

import gc
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dewy.keyvalue import KeyValueStore, WatchableStore
from dewy.testing.cache_fixtures import all_at_once
from dewy_cache_redis.store import RedisStore
from redis_server import RedisServer
from redis_stores import store_of
from server_processes import wait_until

PREFIXES = ("p:", "p*:", "p?:", "p[a-z]:", "p\\:", "p\\*:", "p^-]:", "p", "päö:")


def test_it_is_what_it_promises(store: RedisStore) -> None:
    kept: KeyValueStore = store
    assert isinstance(kept, WatchableStore)
    assert kept.largest == 1 << 20


def test_values_come_back_as_they_were(store: RedisStore, prefix: str) -> None:
    """All bytes, none, and as many as a value may have."""
    for value in (b"", b"\x00\r\n$-1\r\n\xff", os.urandom(store.largest)):
        store.set(f"{prefix}a", value)
        assert store.get(f"{prefix}a") == value
    store.delete(f"{prefix}a")
    store.delete(f"{prefix}a")
    assert store.get(f"{prefix}a") is None


def test_writing_ends_a_time_to_live(server: RedisServer, store: RedisStore, prefix: str) -> None:
    """Whoever set one, dewy's values stay until dewy lets them go."""
    for write in (lambda: store.set(prefix, b"new"), lambda: store.compare_and_set(prefix, b"old", b"new")):
        server.admin("SET", prefix, "old", "EX", 100)
        write()
        assert (store.get(prefix), server.admin("TTL", prefix)) == (b"new", -1)


def test_listing_has_each_key_once(store: RedisStore, prefix: str) -> None:
    """However many steps it takes, and no key of another prefix."""
    names = [f"{prefix}many/{number:05}" for number in range(2500)]
    for name in names:
        store.set(name, b"")
    store.set(f"{prefix}other", b"")
    assert sorted(store.keys(f"{prefix}many/")) == names


def test_listing_takes_a_prefix_as_it_is(store: RedisStore, prefix: str) -> None:
    """Whatever a pattern would make of it."""
    written = {f"{prefix}{odd}{name}" for odd in PREFIXES for name in ("", "a", "*", "b")}
    for key in written:
        store.set(key, b"")
    for odd in PREFIXES:
        wanted = sorted(key for key in written if key.startswith(f"{prefix}{odd}"))
        assert sorted(store.keys(f"{prefix}{odd}")) == wanted, odd


def test_listing_passes_over_what_is_no_text(server: RedisServer, store: RedisStore, prefix: str) -> None:
    """Another program's key."""
    server.admin("SET", prefix.encode() + b"\xff\xfe", "x")
    store.set(f"{prefix}mine", b"")
    assert list(store.keys(prefix)) == [f"{prefix}mine"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(*[st.sampled_from([None, b"", b"absent", b"value", b"\x00\xff"])] * 2), max_size=6))
def test_compare_and_set_is_what_it_says(
    store: RedisStore, prefix: str, steps: list[tuple[bytes | None, bytes | None]]
) -> None:
    """Whatever is there, expected and to be set, none and empty being two things."""
    store.delete(prefix)
    present: bytes | None = None
    for expected, value in steps:
        assert store.compare_and_set(prefix, expected, value) is (present == expected)
        present = value if present == expected else present
        assert store.get(prefix) == present


def test_no_update_is_lost(store: RedisStore, prefix: str) -> None:
    """Eight threads on one store count to fifty each."""
    store.set(prefix, b"0")

    def count() -> None:
        done = 0
        while done < 50:
            present = store.get(prefix) or b""
            done += store.compare_and_set(prefix, present, str(int(present) + 1).encode())

    all_at_once([count] * 8)
    assert store.get(prefix) == b"400"


def test_script_need_not_be_known(server: RedisServer, store: RedisStore, prefix: str) -> None:
    """The server may forget all scripts at any time."""
    assert store.compare_and_set(prefix, None, b"1")
    server.admin("SCRIPT", "FLUSH")
    assert store.compare_and_set(prefix, b"1", b"2")


def test_databases_are_apart(server: RedisServer, prefix: str) -> None:
    """The number in the path counts, and so does the option."""
    store_of(f"{server.url}/3").set(prefix, b"three")
    assert store_of(f"{server.url}?db=3").get(prefix) == b"three"
    assert store_of(server.url).get(prefix) is None


def test_unix_socket(server: RedisServer, store: RedisStore, prefix: str) -> None:
    by_socket = store_of(f"redis+unix://{server.socket}?db=2")
    by_socket.set(prefix, b"x")
    assert store_of(f"{server.url}/2").get(prefix) == b"x"
    assert by_socket.compare_and_set(prefix, b"x", b"y")
    assert by_socket.watch(prefix, b"x", 5) == b"y"


def test_connections_are_bounded_and_used_again(own_server: RedisServer) -> None:
    """Forty threads at once make sixteen connections at most; a thousand calls in a row make one."""
    before = own_server.admin("INFO", "stats")["total_connections_received"]
    store = store_of(own_server.url)
    for _ in range(1000):
        store.get("a")
    now = own_server.admin("INFO", "stats")["total_connections_received"]
    assert now - before == 2, "one for the store, one for who asks here"
    all_at_once([lambda: [store.get("a") for _ in range(20)]] * 40)
    assert own_server.admin("INFO", "clients")["connected_clients"] <= 16 + 1


def test_failed_calls_leak_no_connection(own_server: RedisServer) -> None:
    """More failures than there are connections to lend, and it still works."""
    store, threads = store_of(own_server.url), threading.active_count()
    own_server.admin("RPUSH", "list", "x")
    for _ in range(40):
        with pytest.raises(Exception, match="another program"):
            store.get("list")
    own_server.stop()
    for _ in range(40):
        with pytest.raises(Exception, match="no connection"):
            store.get("a")
    own_server.start()
    assert store.get("a") is None
    assert threading.active_count() <= threads


@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_store_that_nobody_has_closes_its_connections(own_server: RedisServer, in_a_cycle: bool) -> None:
    """A process may open many in its time."""
    held: list[object] = [store_of(own_server.url)]
    store = held[0]
    assert isinstance(store, RedisStore)
    store.get("a")
    wait_until(lambda: own_server.admin("INFO", "clients")["connected_clients"] == 2)
    if in_a_cycle:
        held.append(held)
    del store, held
    if in_a_cycle:
        gc.collect()
    wait_until(lambda: own_server.admin("INFO", "clients")["connected_clients"] == 1)
