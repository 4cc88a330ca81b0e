"""Caches of a fleet that are wrong in one way each, and the tests of the kit that must say so."""

from __future__ import annotations

import io
import itertools
import time
from typing import Any, ClassVar

import pytest

from dewy.backends.bounds import bounds_of
from dewy.keyvalue.cache import WatchableKeyValueCache
from dewy.testing import CacheConformance
from kit_mutants import mutant
from kv_store import BACKEND, SERVERS

_NUMBERS = itertools.count()


class SharedSuite(CacheConformance):
    """The kit on a cache that hosts share."""

    __test__ = False
    backend = BACKEND
    plugin = "kv_store"
    streams = False
    atomic = True
    watches = True
    tidies = True

    @staticmethod
    def build(broken: Any, url: Any, _context: object) -> Any:
        return broken(SERVERS.at(url.host), "dewy/", bounds_of(url), 60.0)

    @pytest.fixture
    def url(self) -> str:
        return f"dict://mutant{next(_NUMBERS)}"

    @pytest.fixture
    def unreachable(self) -> str:
        return "dict://down"


class Answerless(WatchableKeyValueCache):
    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        super().compare_and_set(key, expected, value)
        return None  # type: ignore[return-value]


class EmptyIsExpectedToBeAbsent(WatchableKeyValueCache):
    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        return super().compare_and_set(key, expected or None, value)


class Uncomparing(WatchableKeyValueCache):
    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        present = self.read(key)
        return super().compare_and_set(key, present.read() if present else None, value)


class RemembersTheDeleted(WatchableKeyValueCache):
    deleted: ClassVar[set[str]] = set()

    def delete(self, key: str) -> None:
        super().delete(key)
        self.deleted.add(key)

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        return key not in self.deleted and super().compare_and_set(key, expected, value)


class LooksThenSets(WatchableKeyValueCache):
    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        present = self.read(key)
        if (present.read() if present else None) != expected:
            return False
        time.sleep(0.01)
        self.delete(key) if value is None else self.write(key, io.BytesIO(value))
        return True


class RemovesWithoutLooking(WatchableKeyValueCache):
    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        if value is None and expected is not None:
            self.delete(key)
            return True
        return super().compare_and_set(key, expected, value)


class NeverWakes(WatchableKeyValueCache):
    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        time.sleep(seconds)
        return super().watch(key, seen, 0)


class WaitsForTheNextChange(WatchableKeyValueCache):
    """Looks at what is there only after something has happened."""

    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        present = self.read(key)
        return super().watch(key, present.read() if present else None, seconds)


class TidiesEverything(WatchableKeyValueCache):
    def tidy(self) -> None:
        for key in self.keys():
            self.delete(key)


MUTANTS = [
    mutant(SharedSuite, Answerless, "test_sets_what_is_as_expected"),
    mutant(SharedSuite, EmptyIsExpectedToBeAbsent, "test_sets_what_is_as_expected", "test_leaves_what_is_not_as_expected"),
    mutant(SharedSuite, Uncomparing, "test_leaves_what_is_not_as_expected"),
    mutant(SharedSuite, RemembersTheDeleted, "test_deleted_is_absent"),
    mutant(SharedSuite, LooksThenSets, "test_one_of_many_claims", "test_no_update_is_lost"),
    mutant(SharedSuite, RemovesWithoutLooking, "test_removes_what_is_as_expected"),
    mutant(SharedSuite, NeverWakes, "test_watcher_is_woken", patience=1.0),
    mutant(SharedSuite, WaitsForTheNextChange, "test_watcher_returns_in_time", "test_watcher_misses_nothing", patience=1.0),
    mutant(SharedSuite, TidiesEverything, "test_tidying_takes_nothing_that_is_in_use"),
]
