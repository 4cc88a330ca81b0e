"""The memory cache: the conformance kit, and its hard bounds."""

from __future__ import annotations

import io

import pytest

from dewy.backends.bounds import Bounds
from dewy.backends.memory import MemoryCache
from dewy.backends.plugin import MEMORY_CACHE
from dewy.errors import CacheError, UsageError
from dewy.testing import CacheConformance, TestContext
from dewy.urls import parse_url


class TestMemoryCache(CacheConformance):
    """The kit."""

    backend = MEMORY_CACHE
    plugin = "dewy.backends.plugin"
    remote = False
    shared = False
    streams = False
    pins = True

    @pytest.fixture
    def url(self) -> str:
        return "memory://?keep=60&max-size=64M"

    @pytest.fixture
    def small_url(self) -> str:
        return "memory://?keep=3"


def stored(cache: MemoryCache, key: str) -> bytes | None:
    stream = cache.read(key)
    return None if stream is None else stream.read()


def test_a_value_larger_than_the_bound_is_refused_and_no_more_than_the_bound_is_read_of_it() -> None:
    cache = MemoryCache(Bounds(keep=5, size=1000))
    source = io.BytesIO(b"x" * 5000)
    with pytest.raises(CacheError, match="big does not fit"):
        cache.write("big", source)
    assert source.tell() == 1001
    assert cache.keys() == []


def test_a_refused_value_leaves_the_old_one_and_all_others() -> None:
    cache = MemoryCache(Bounds(keep=5, size=1000))
    for key in ("a", "b"):
        cache.write(key, io.BytesIO(b"x" * 400))
    with pytest.raises(CacheError):
        cache.write("a", io.BytesIO(b"y" * 1001))
    assert stored(cache, "a") == stored(cache, "b") == b"x" * 400


def test_the_total_size_is_bounded_and_the_oldest_use_goes_first() -> None:
    cache = MemoryCache(Bounds(keep=5, size=1000))
    for key in ("a", "b"):
        cache.write(key, io.BytesIO(b"x" * 400))
    cache.read("a")
    cache.write("c", io.BytesIO(b"x" * 600))
    assert sorted(cache.keys()) == ["a", "c"]


def test_what_is_pinned_is_never_removed_even_if_the_new_value_then_does_not_fit() -> None:
    cache = MemoryCache(Bounds(keep=2, size=1000))
    for key in ("a", "b"):
        cache.write(key, io.BytesIO(b"x"))
    cache.pin(["a", "b"])
    with pytest.raises(CacheError, match="file://"):
        cache.write("c", io.BytesIO(b"x"))
    assert sorted(cache.keys()) == ["a", "b"]


@pytest.mark.parametrize(
    ("query", "complaint"), [("keep=0", "'keep'"), ("max-size=lots", "500M or 5G"), ("max-size=0", "500M or 5G")]
)
def test_bounds_that_make_no_sense_are_refused_with_what_the_option_takes(
    query: str, complaint: str, tmp_path: object
) -> None:
    with pytest.raises(UsageError, match=complaint):
        MEMORY_CACHE.open(parse_url(f"memory://?{query}", MEMORY_CACHE.options), TestContext(tmp_path))  # type: ignore[arg-type]
