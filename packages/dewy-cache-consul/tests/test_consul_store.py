"""Small values in a real agent: what is stored comes back, and of those who compare, one succeeds."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consul_agent import Agent
from consul_stores import store_of
from dewy.testing.cache_fixtures import all_at_once
from dewy_cache_consul.keys import decode_key, encode_key
from dewy_cache_consul.store import ConsulStore
from store_checks import failure_of

KEYS = st.text("ABCabc019-._~%:/,é ?#&=", min_size=1, max_size=60)


@given(KEYS, KEYS)
@example("a//b", "/")
@example("../..", "/..")
def test_written_keys_are_plain_and_read_back(key: str, more: str) -> None:
    """Nothing in one has a meaning in a path, and the beginning of a key is written as the beginning of it."""
    written = encode_key(key)
    assert decode_key(written) == key
    assert all(part.strip(".") for part in written.removesuffix("/").split("/"))
    assert all(letter.isascii() and (letter.isalnum() or letter in ",_-./") for letter in written)
    assert encode_key(key + more).startswith(written)


@pytest.mark.parametrize("name", ["a b", "a%2F", ",zz", ",61", "ü", "a//b", ",FF", "a,2"])
def test_names_of_others_are_no_keys(name: str) -> None:
    assert decode_key(name) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS)
@example("%2e%2e/..//./x%252F~:?raw#a")
@example("/")
@example("..")
def test_keys_of_any_kind_come_back_from_the_agent(store: ConsulStore, key: str) -> None:
    """Stored, read, listed and removed under their own names, and under no other."""
    key = f"kinds/{key}"
    store.set(key, key.encode())
    assert store.get(key) == key.encode()
    assert list(store.keys("kinds/")) == [key]
    assert store.compare_and_set(key, key.encode(), b"x")
    store.delete(key)
    assert list(store.keys("kinds/")) == []


def test_listing_knows_where_a_prefix_ends(store: ConsulStore, prefix: str) -> None:
    for name in ("~a", "~a%2Fb", "~ab/c", "~b", "a"):
        store.set(f"{prefix}/{name}", b"")
    assert sorted(store.keys(f"{prefix}/~a")) == [f"{prefix}/~a", f"{prefix}/~a%2Fb", f"{prefix}/~ab/c"]
    assert store.get(f"{prefix}/~a") == b"", "an empty value is a value"
    assert list(store.keys(f"{prefix}-none")) == []


def test_others_keys_are_not_listed(agent: Agent, store: ConsulStore, prefix: str) -> None:
    assert agent.ask("PUT", f"/v1/kv/{prefix}/not%20ours", b"x")[0] == 200
    store.set(f"{prefix}/ours", b"x")
    assert list(store.keys(f"{prefix}/")) == [f"{prefix}/ours"]


def test_largest_value_passes_and_one_byte_more_is_refused(store: ConsulStore, prefix: str) -> None:
    value = bytes(range(256)) * (store.largest // 256)
    assert len(value) == store.largest == 524288
    store.set(prefix, value)
    assert store.get(prefix) == value
    error = failure_of(lambda: store.set(prefix, value + b"x"))
    assert "kv_max_value_size" in error.message
    assert store.get(prefix) == value


def test_no_increment_is_lost(agent: Agent, prefix: str) -> None:
    """Eight threads, twenty each, each with a client of its own."""
    store_of(agent.url).set(prefix, b"0")

    def count() -> None:
        store, done = store_of(agent.url), 0
        while done < 20:
            present = store.get(prefix) or b""
            done += store.compare_and_set(prefix, present, str(int(present) + 1).encode())

    all_at_once([count] * 8)
    assert store_of(agent.url).get(prefix) == b"160"


def test_one_of_many_removes(agent: Agent, prefix: str) -> None:
    """The agent's own compare-and-delete lets the second one succeed too."""
    stores = [store_of(agent.url) for _ in range(4)]
    for number in range(15):
        key, removed = f"{prefix}/{number}", []
        stores[0].set(key, b"mine")

        def remove(store: ConsulStore, key: str = key, removed: list[ConsulStore] = removed) -> None:
            if store.compare_and_set(key, b"mine", None):
                removed.append(store)

        all_at_once([lambda store=store: remove(store) for store in stores])
        assert len(removed) == 1


def test_value_is_compared_and_not_its_age(store: ConsulStore, prefix: str) -> None:
    """There and back again is the same."""
    store.set(prefix, b"a")
    store.set(prefix, b"b")
    store.set(prefix, b"a")
    assert store.compare_and_set(prefix, b"a", b"c")
    assert not store.compare_and_set(prefix, b"a", b"d")
    assert store.compare_and_set(prefix, b"c", None)
    assert store.compare_and_set(prefix, None, b"new")


def test_threads_share_a_store(store: ConsulStore, prefix: str) -> None:
    def use(number: int) -> None:
        for turn in range(10):
            value = f"{number} {turn}".encode()
            store.set(f"{prefix}/{number}", value)
            assert store.get(f"{prefix}/{number}") == value

    all_at_once([lambda number=number: use(number) for number in range(12)])
