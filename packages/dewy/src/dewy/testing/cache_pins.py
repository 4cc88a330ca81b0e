"""What a cache that removes old values is held to (R45): bounded, and never without what is needed."""

from __future__ import annotations

import io
from typing import Any

import pytest

from dewy.testing.backend import needs
from dewy.testing.cache_fixtures import CacheFixtures, value_in, write
from dewy.testing.context import TestContext
from dewy.testing.streams import assert_same
from dewy.types import PinningCache

__all__ = ["PinningCacheTests"]


class PinningCacheTests(CacheFixtures):
    """The tests behind the flag ``pins``. The cache has room for three values."""

    __test__ = False

    @pytest.fixture
    def small(self, small_url: str, context: TestContext) -> Any:
        """The cache with room for three values."""
        return self.open(small_url, context)

    @needs("pins")
    def test_number_is_bounded(self, small: PinningCache) -> None:
        """The newest stay, and each can be read after it was written."""
        for number in range(10):
            write(small, f"v{number}", b"x")
            assert value_in(small, f"v{number}") == b"x"
        assert sorted(small.keys()) == ["v7", "v8", "v9"]

    @needs("pins")
    def test_what_was_unused_for_longest_goes(self, small: PinningCache) -> None:
        """Reading is using."""
        for key in ("v1", "v2", "v3"):
            write(small, key, b"x")
        assert value_in(small, "v1") == b"x"
        write(small, "v4", b"x")
        assert sorted(small.keys()) == ["v1", "v3", "v4"]

    @needs("pins")
    def test_replacing_removes_nothing(self, small: PinningCache) -> None:
        """A value counts once, however often it is written."""
        for key in ("v1", "v2", "v3", "v3", "v3"):
            write(small, key, b"x")
        assert sorted(small.keys()) == ["v1", "v2", "v3"]

    @needs("pins")
    def test_pinned_stay(self, small: PinningCache) -> None:
        """However many come, and also when they were pinned before they were written."""
        write(small, "v1", b"one")
        small.pin(["v1", "v2"])
        write(small, "v2", b"two")
        for number in range(3, 10):
            write(small, f"v{number}", b"x")
        assert (value_in(small, "v1"), value_in(small, "v2")) == (b"one", b"two")
        assert sorted(small.keys()) == ["v1", "v2", "v9"], "pinned values count"

    @needs("pins")
    def test_pins_replace_earlier_ones(self, small: PinningCache) -> None:
        """What was pinned and is no more can go."""
        for key in ("v1", "v2"):
            write(small, key, b"x")
        small.pin(["v1"])
        small.pin(["v2"])
        for number in range(3, 8):
            write(small, f"v{number}", b"x")
        assert sorted(small.keys()) == ["v2", "v6", "v7"]
        small.pin([])
        for number in range(8, 11):
            write(small, f"v{number}", b"x")
        assert sorted(small.keys()) == ["v10", "v8", "v9"]

    @needs("pins")
    def test_pinning_is_not_writing(self, small: PinningCache) -> None:
        """A pinned key need not have a value, and is not listed without one."""
        small.pin(["v1"])
        assert list(small.keys()) == []
        assert value_in(small, "v1") is None

    @needs("pins")
    def test_what_is_read_is_read_to_its_end(self, small: PinningCache) -> None:
        """A value that is removed meanwhile is still whole for who reads it."""
        value = b"x" * 2_000_000
        write(small, "v1", value)
        stream = small.read("v1")
        assert stream is not None
        with stream:
            begun = stream.read(10)
            for number in range(2, 7):
                small.write(f"v{number}", io.BytesIO(b"x"))
            assert_same(begun + stream.read(), value)

    @needs("pins", "shared")
    def test_pins_survive_a_restart(self, small_url: str, small: PinningCache, context: TestContext) -> None:
        """Another dewy, or this one started anew, does not remove what was pinned."""
        write(small, "v1", b"one")
        small.pin(["v1"])
        again: PinningCache = self.open(small_url, context)
        for number in range(2, 8):
            write(again, f"v{number}", b"x")
        assert value_in(again, "v1") == b"one"
