"""What a shared cache does when writers die, stores lose values, clocks differ and hosts come in between (R42, R45)."""

from __future__ import annotations

import io
import os
import random
import threading
from dataclasses import dataclass

import pytest

from dewy.backends.bounds import Bounds
from dewy.errors import CacheError, DamagedError
from dewy.keyvalue.cache import KeyValueCache
from dewy.keyvalue.clocks import Clocks
from dewy.keyvalue.records import Blob, read_blob, read_name
from dewy.testing import FakeClock
from dewy.testing.cache_fixtures import value_in
from kv_store import DictStore

SIZE = 5 * 128 * 1024 + 17
TTL = 7 * 86400.0


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


@dataclass
class Host:
    """One host's view of the store."""

    store: DictStore
    cache: KeyValueCache
    clock: FakeClock

    @classmethod
    def on(cls, store: DictStore, *, skew: float = 0.0, keep: int = 20, size: int = 1 << 30) -> Host:
        mine, clock = store.connect(), FakeClock()
        clocks = Clocks(lambda: clock.now().timestamp() + skew, clock.monotonic)
        return cls(mine, KeyValueCache(mine, "dewy/", Bounds(keep, size), TTL, clocks), clock)

    def write(self, key: str, value: bytes) -> None:
        self.cache.write(key, io.BytesIO(value))

    def read(self, key: str) -> bytes | None:
        return value_in(self.cache, key)


def kill_at(host: Host, number: int) -> None:
    """Has the host's process end just before its operation with that number: not even its clean-up runs."""
    left = [number]

    def before(operation: str, key: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    host.store.before = before


def operations_of_a_write(value: bytes) -> int:
    host = Host.on(DictStore())
    host.write("app", value)
    return len(host.store.operations)


VALUE = random.Random(7).randbytes(SIZE)
STEPS = operations_of_a_write(VALUE)


@pytest.mark.parametrize("step", range(STEPS))
def test_a_writer_killed_at_any_step_leaves_nothing_that_can_be_taken_and_is_cleaned_up(step: int) -> None:
    store = DictStore()
    writer, reader = Host.on(store), Host.on(store)
    kill_at(writer, step)
    with pytest.raises(Killed):
        writer.write("app", VALUE)
    assert reader.read("app") is None
    assert reader.cache.keys() == []
    for _ in range(4):
        reader.cache.tidy()
        reader.clock.advance(61)
    assert store.values == {}, "something is left of the interrupted write"
    reader.write("app", VALUE)
    assert reader.read("app") == VALUE


@pytest.mark.parametrize("step", range(STEPS))
def test_a_store_that_fails_at_any_step_is_an_error_and_the_next_write_works(step: int) -> None:
    store = DictStore()
    host, count = Host.on(store), [0]

    def before(operation: str, key: str) -> None:
        count[0] += 1
        if count[0] == step + 1:
            raise CacheError("the store has failed once")

    host.store.before = before
    with pytest.raises(CacheError, match="failed once"):
        host.write("app", VALUE)
    assert host.read("app") in (None, VALUE)
    host.clock.advance(61)
    host.write("app", VALUE)
    host.clock.advance(61)
    host.write("app", VALUE)  # what was left of the first one is dead by now
    assert Host.on(store).read("app") == VALUE


def pieces(store: DictStore) -> list[str]:
    return sorted(key for key in store.values if "/pieces/" in key)


def test_what_nothing_leads_to_goes_and_what_is_in_use_stays() -> None:
    store = DictStore()
    host = Host.on(store)
    host.write("old", VALUE)
    host.write("kept", os.urandom(SIZE))
    host.cache.delete("old")
    assert len(pieces(store)) == 12
    for _ in range(3):
        host.cache.tidy()
        host.clock.advance(61)
    assert len(pieces(store)) == 6
    assert host.read("kept") is not None


def test_one_content_under_two_names_is_stored_once_and_stays_while_one_leads_to_it() -> None:
    store = DictStore()
    host = Host.on(store)
    host.write("one", VALUE)
    host.write("two", VALUE)
    assert len(pieces(store)) == 6
    host.cache.delete("one")
    for _ in range(3):
        host.cache.tidy()
        host.clock.advance(61)
    assert host.read("two") == VALUE


def age(hosts: list[Host], seconds: float, step: float = 3600.0) -> None:
    """Lets time go by on all hosts, the first of which tidies every step."""
    for _ in range(int(seconds / step)):
        for host in hosts:
            host.clock.advance(step)
        hosts[0].cache.tidy()


def test_what_no_host_has_needed_for_its_time_to_live_goes() -> None:
    store = DictStore()
    host = Host.on(store)
    host.write("app", VALUE)
    age([host], TTL - 7200)
    assert host.read("app") == VALUE
    age([host], 86400)
    assert store.values == {}


def test_what_a_host_renews_stays_however_old_it_is_and_whatever_the_clock_of_the_one_that_tidies() -> None:
    for skew in (0.0, 10 * 365 * 86400.0, -10 * 365 * 86400.0):
        store = DictStore()
        tidying, using = Host.on(store, skew=skew), Host.on(store)
        using.write("app", VALUE)
        for _ in range(40):
            age([tidying, using], TTL / 8, TTL / 32)
            using.cache.renew(["app"])
        assert using.read("app") == VALUE


def test_a_clock_ahead_takes_nothing_that_was_used_a_moment_ago() -> None:
    store = DictStore()
    ahead, using = Host.on(store, skew=365 * 86400.0), Host.on(store)
    using.write("app", VALUE)
    age([ahead], 86400)
    assert using.read("app") == VALUE


def test_number_and_size_are_bounded_and_what_was_unused_for_longest_goes() -> None:
    store = DictStore()
    host = Host.on(store, keep=3)
    contents = {f"v{number}": os.urandom(SIZE) for number in range(6)}
    for key, content in contents.items():
        host.clock.advance(601)
        host.write(key, content)
        host.cache.renew(["v0"])
    assert {key for key in contents if host.read(key)} == {"v0", "v4", "v5"}
    host = Host.on(store, size=2 * SIZE)
    host.write("v9", VALUE)
    assert len({key for key in contents if host.read(key)}) == 1
    assert host.read("v9") == VALUE


def test_what_can_never_fit_is_refused_and_nothing_goes_for_it() -> None:
    store = DictStore()
    Host.on(store).write("app", VALUE)
    with pytest.raises(CacheError, match="max-size"):
        Host.on(store, size=SIZE).write("large", os.urandom(SIZE + 1))
    assert Host.on(store).read("app") == VALUE


@pytest.mark.parametrize("damage", ["missing", "short", "other"])
def test_a_damaged_artifact_is_never_handed_on_whole_and_is_stored_anew(damage: str) -> None:
    store = DictStore()
    host = Host.on(store)
    host.write("app", VALUE)
    piece = pieces(store)[3]
    if damage == "missing":
        del store.values[piece]
    else:
        store.values[piece] = b"x" if damage == "short" else b"x" * len(store.values[piece])
    with pytest.raises(DamagedError, match="is damaged in the cache"):
        host.read("app")
    assert host.read("app") is None
    assert pieces(store) == []
    host.write("app", VALUE)
    assert host.read("app") == VALUE


@pytest.mark.parametrize(
    "record", [b"", b"{}", b"[]", b"null", b"\xff",
               b'{"state":"whole","upload":"../x","piece":1,"size":1,"stamp":"","used":0}',
               b'{"state":"whole","upload":"aaaaaaaa","piece":0,"size":1,"stamp":"","used":0}',
               b'{"state":"odd","upload":"aaaaaaaa","piece":9,"size":1,"stamp":"","used":0}'],
)  # fmt: skip
def test_records_that_are_none_are_taken_for_none(record: bytes) -> None:
    assert read_blob(record) is None
    store = DictStore()
    host = Host.on(store)
    host.write("app", VALUE)
    blob = next(key for key in store.values if "/blobs/" in key)
    store.values[blob] = record
    assert host.read("app") is None
    host.write("app", VALUE)
    assert host.read("app") == VALUE


@pytest.mark.parametrize("record", [b"", b"?", b"@", b"@[]", b'@{"digest":"x","size":1}', b"~", b"~9999999\n", b"~x\n"])
def test_names_that_are_none_are_taken_for_none(record: bytes) -> None:
    assert read_name(record).value is None
    store = DictStore()
    store.values["dewy/names/app"] = record
    host = Host.on(store)
    assert host.read("app") is None
    assert host.cache.keys() == []
    host.write("app", b"small")
    assert host.read("app") == b"small"


def test_a_second_writer_of_the_same_leaves_it_to_the_first_unless_that_one_is_dead() -> None:
    store = DictStore()
    first, second = Host.on(store), Host.on(store)
    kill_at(first, 6)
    with pytest.raises(Killed):
        first.write("app", VALUE)
    second.write("app", VALUE)
    assert second.read("app") is None
    second.clock.advance(61)
    second.write("app", VALUE)
    assert second.read("app") == VALUE
    assert len(pieces(store)) == 6


def test_a_writer_taken_for_dead_makes_nothing_whole() -> None:
    """It was asleep, another host has removed what it had written, and it goes on."""
    store = DictStore()
    sleeper, other = Host.on(store), Host.on(store)

    def before(operation: str, key: str) -> None:
        if operation == "set" and key.endswith("/000003"):
            other.cache.tidy()
            other.clock.advance(61)
            other.cache.tidy()

    sleeper.store.before = before
    sleeper.write("app", VALUE)
    assert other.read("app") is None
    assert pieces(store) == [], "what it stored after that leads nowhere"
    assert not any(isinstance(blob, Blob) for blob in map(read_blob, store.values.values()))


def test_two_prefixes_in_one_store_know_nothing_of_each_other() -> None:
    store = DictStore()
    one, two = (KeyValueCache(store, prefix, Bounds(1, 1 << 30), TTL) for prefix in ("one/", "two/"))
    one.write("app", io.BytesIO(VALUE))
    two.write("app", io.BytesIO(VALUE[::-1]))
    two.tidy()
    assert (value_in(one, "app"), value_in(two, "app")) == (VALUE, VALUE[::-1])
    two.delete("app")
    assert (one.keys(), two.keys()) == (["app"], [])


def test_many_hosts_that_write_read_and_tidy_at_once_see_whole_values_only() -> None:
    store = DictStore()
    contents = [bytes([number]) * SIZE for number in range(4)]
    wrong: list[object] = []

    def work(number: int) -> None:
        host, dice = Host.on(store, keep=3), random.Random(number)
        for _ in range(25):
            host.write("app", dice.choice(contents))
            try:
                value = host.read("app")
            except DamagedError:
                value = None  # it was replaced and removed meanwhile: an error is allowed, a mixture is not
            if value is not None and value not in contents:
                wrong.append(value)
            host.clock.advance(31)
            host.cache.tidy()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
