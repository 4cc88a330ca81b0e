"""A key-value store whose values somebody else has written, by mistake or not: nothing in it may stop a host (R42, R44)."""

from __future__ import annotations

import io
import json
import random

import pytest

from dewy.backends.bounds import Bounds
from dewy.errors import CacheError, DamagedError
from dewy.keeping import SharedKeeping
from dewy.keyvalue.cache import KeyValueCache
from dewy.keyvalue.records import read_blob, read_name
from dewy.sink import Sink
from dewy.testing.cache_fixtures import value_in
from dewy.untrusted import read_object
from fleet_hosts import release_of
from kv_store import DictStore

VALUE = random.Random(3).randbytes(3 * 128 * 1024)
DEEP = b"[" * 60_000
WHOLE = b'{"piece":9,"size":1,"stamp":"","state":"whole","upload":"aaaaaaaa","used":0}'


def cache_on(store: DictStore) -> KeyValueCache:
    return KeyValueCache(store, "dewy/", Bounds(20, 1 << 30), 3600.0)


@pytest.mark.parametrize(
    "text", [None, b"", DEEP, b'{"a":' * 30_000, b"{" + b"9" * 5000, b'{"a":' + b"9" * 5000 + b"}", b"\xff", b"[]"]
)
def test_what_is_no_object_is_an_empty_one(text: bytes | None) -> None:
    assert read_object(text) == {}


def test_a_record_as_it_is_written_is_read() -> None:
    assert read_blob(WHOLE)


@pytest.mark.parametrize(
    "record",
    [
        DEEP, WHOLE + b" ", WHOLE.replace(b",", b", "), WHOLE.replace(b'"used":0', b'"used":0,"x":1'),
        WHOLE.replace(b'"used":0', b'"used":1e999'), WHOLE.replace(b'"used":0', b'"used":NaN'),
        WHOLE.replace(b'"used":0', b'"used":Infinity'), WHOLE.replace(b'"size":1', b'"size":' + b"9" * 4000),
        WHOLE.replace(b'"piece":9', b'"piece":' + b"9" * 30),
    ],
    ids=range(9),
)  # fmt: skip
def test_a_record_that_could_not_be_replaced_is_taken_for_none(record: bytes) -> None:
    """Read and believed, but never the same as what is compared with it, it would stand in the way for ever."""
    assert read_blob(record) is None
    store = DictStore()
    cache = cache_on(store)
    cache.write("app", io.BytesIO(VALUE))
    (blob,) = [key for key in store.values if "/blobs/" in key]
    store.values[blob] = record
    cache.write("app", io.BytesIO(VALUE))
    cache.tidy()
    assert value_in(cache, "app") == VALUE


def test_a_record_that_was_edited_does_not_keep_a_damaged_artifact_for_ever() -> None:
    store = DictStore()
    cache = cache_on(store)
    cache.write("app", io.BytesIO(VALUE))
    (blob,) = [key for key in store.values if "/blobs/" in key]
    store.values[blob] = json.dumps(json.loads(store.values[blob]), indent=1).encode()
    del store.values[min(key for key in store.values if "/pieces/" in key)]
    cache.write("app", io.BytesIO(VALUE))
    assert value_in(cache, "app") == VALUE


@pytest.mark.parametrize(
    "record", [b"@" + DEEP, b"~1\n\xff=x", b'@{"digest": "' + b"a" * 64 + b'", "size": 1}', b'@{"size":1,"digest":"x"}']
)
def test_a_name_that_is_none_is_taken_for_none(record: bytes) -> None:
    assert read_name(record).value is None
    store = DictStore()
    cache = cache_on(store)
    store.values["dewy/names/app"] = record
    assert value_in(cache, "app") is None
    assert list(cache.keys()) == []
    cache.tidy()


def test_keys_that_are_none_of_ours_are_passed_over() -> None:
    store = DictStore()
    cache = cache_on(store)
    cache.write("app", io.BytesIO(b"small"))
    store.values["dewy/names/%FF"] = b"=x"
    assert list(cache.keys()) == ["app"]
    cache.tidy()


@pytest.mark.parametrize("head", [b"", b"{}", DEEP, b'{"digest":1}', b'{"digest":""}', b'{"digest":["sha256:x"]}'])
def test_an_artifact_that_does_not_say_what_it_is_is_damaged(head: bytes) -> None:
    cache, release = cache_on(DictStore()), release_of("v1.0.0")
    keeping = SharedKeeping(cache, lambda _release: "id")
    cache.write(keeping.key(release), io.BytesIO(head + b"\n" + VALUE))
    with pytest.raises(DamagedError):
        keeping.copy_out(release, Sink(io.BytesIO(), "app", 1 << 30, lambda: 0.0, lambda _size: None))


@pytest.mark.parametrize("second", [CacheError("second"), OSError("second"), ValueError("second")])
def test_what_goes_wrong_while_cleaning_up_does_not_hide_what_went_wrong_first(second: Exception) -> None:
    store = DictStore()
    failing: list[str] = []

    def before(operation: str, key: str) -> None:
        if failing:
            raise second
        if operation == "set" and key.endswith("/000001"):
            failing.append(key)
            raise CacheError("first")

    store.before = before
    with pytest.raises(CacheError, match="first"):
        cache_on(store).write("app", io.BytesIO(VALUE))
