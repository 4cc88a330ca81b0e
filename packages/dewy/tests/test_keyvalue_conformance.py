"""A cache on a store of small values passes the kit, on a store in this process."""

from __future__ import annotations

import itertools

import pytest

from dewy.testing import CacheConformance
from kv_store import BACKEND

NUMBERS = itertools.count()


class TestKeyValueCache(CacheConformance):
    """The kit."""

    backend = BACKEND
    plugin = "kv_store"
    streams = False  # the store is this process's memory
    atomic = True
    watches = True
    tidies = True

    test_plugin_is_found_by_its_entry_point = None  # type: ignore[assignment]  # it is no distribution

    @pytest.fixture
    def url(self) -> str:
        return f"dict://store{next(NUMBERS)}"

    @pytest.fixture
    def unreachable(self) -> str:
        return "dict://down"
