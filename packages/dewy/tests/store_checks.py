"""What the tests of key-value stores share: how they fail, and what watching a value is held to.

The conformance kit holds caches to the same from outside. Here it is known when somebody waits by now, so that a change
surely comes after that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

import pytest

from dewy.errors import CacheError
from dewy.keyvalue import WatchableStore
from dewy.testing.cache_fixtures import all_at_once
from dewy.testing.failures import fails_well
from server_processes import wait_until

__all__ = ["SOON", "WatchableStoreTests", "Watcher", "failure_of"]

SOON = 5.0
"""Seconds, on a busy machine, for what takes none; far less than the nine of a call and the thirty of a watch."""
_LONG = 30.0
"""Seconds of a watch that is to end before its time."""


def failure_of(call: Callable[[], object], *, within: float = 10, secrets: Iterable[str] = ()) -> CacheError:
    """What a call raises: in time, usable, without a secret."""
    caught: list[CacheError] = []

    def keep() -> None:
        try:
            call()
        except CacheError as error:
            caught.append(error)
            raise

    with fails_well(CacheError, within=within, secrets=secrets):
        keep()
    return caught[0]


class Watcher(threading.Thread):
    """Watches a value in a thread of its own, for long, and keeps what came of it and when."""

    def __init__(self, store: WatchableStore, key: str, seen: bytes | None) -> None:
        super().__init__(daemon=True)
        self._watch = lambda: store.watch(key, seen, _LONG)
        self._value: bytes | None = None
        self._error: CacheError | None = None
        self.ended = 0.0
        """By the monotonic clock."""
        self.start()

    def run(self) -> None:
        """In the thread."""
        try:
            self._value = self._watch()
        except CacheError as error:
            self._error = error
        self.ended = time.monotonic()

    def result(self, within: float = SOON) -> bytes | None:
        """What the watch returned or raised. It must have ended within so many seconds from now."""
        self.join(within)
        assert not self.is_alive(), "it still waits"
        if self._error:
            raise self._error
        return self._value


class WatchableStoreTests:
    """Tests to inherit; the two first fixtures are to be overridden, and ``prefix`` is one that no other test uses."""

    @pytest.fixture
    def connect(self) -> Callable[[], WatchableStore]:
        """Gives a store as one more host has it."""
        raise NotImplementedError

    @pytest.fixture
    def waits(self) -> Callable[[str], bool]:
        """Whether somebody waits by now for a change of a key."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        ("before", "after"),
        [(None, b"new"), (b"old", b"new"), (b"old", None), (b"old", b"")],
        ids=["made", "set", "gone", "empty"],
    )
    def test_change_wakes(
        self,
        connect: Callable[[], WatchableStore],
        waits: Callable[[str], bool],
        prefix: str,
        before: bytes | None,
        after: bytes | None,
    ) -> None:
        """Whatever the change is."""
        store = connect()
        if before is not None:
            store.set(prefix, before)
        watcher = Watcher(connect(), prefix, before)
        wait_until(lambda: waits(prefix))
        assert store.compare_and_set(prefix, before, after)
        assert watcher.result() == after

    def test_waking_takes_less_than_half_a_second(
        self, connect: Callable[[], WatchableStore], waits: Callable[[str], bool], prefix: str
    ) -> None:
        """It is no polling. The quickest of five counts: a busy machine makes some wait, and a slow store all of them."""
        store, took = connect(), []
        for number in range(5):
            key = f"{prefix}/{number}"
            watcher = Watcher(connect(), key, None)
            wait_until(partial(waits, key))
            changed = time.monotonic()
            assert store.compare_and_set(key, None, b"new")
            assert watcher.result() == b"new"
            took.append(watcher.ended - changed)
        assert min(took) < 0.5

    def test_value_that_differs_already_is_returned_at_once(
        self, connect: Callable[[], WatchableStore], prefix: str
    ) -> None:
        store = connect()
        store.set(prefix, b"new")
        for key, seen, present in ((prefix, b"old", b"new"), (prefix, None, b"new"), (f"{prefix}none", b"old", None)):
            started = time.monotonic()
            assert store.watch(key, seen, _LONG) == present
            assert time.monotonic() - started < SOON

    def test_end_of_the_time_returns_the_present_value(self, connect: Callable[[], WatchableStore], prefix: str) -> None:
        """Neither sooner nor much later."""
        store = connect()
        store.set(prefix, b"same")
        started = time.monotonic()
        assert store.watch(prefix, b"same", 0.6) == b"same"
        assert 0.6 <= time.monotonic() - started < SOON
        started = time.monotonic()
        assert store.watch(prefix, b"same", 0) == b"same"
        assert time.monotonic() - started < SOON

    def test_changes_of_other_keys_do_not_end_it(
        self, connect: Callable[[], WatchableStore], waits: Callable[[str], bool], prefix: str
    ) -> None:
        """However alike their names are, and so many that there is time to end: it does with the one that it waits for."""
        store, key = connect(), f"{prefix}/a"
        watcher = Watcher(connect(), key, None)
        wait_until(lambda: waits(key))
        for number in range(100):
            for other in (f"{prefix}/{number}", f"{key}{number}", f"{key}/{number}"):
                assert store.compare_and_set(other, None, b"x")
        assert store.compare_and_set(key, None, b"news")
        assert watcher.result() == b"news"

    def test_no_change_is_missed(self, connect: Callable[[], WatchableStore], prefix: str) -> None:
        """A writer and three watchers in step: a change may fall anywhere, before, in or after the beginning of a watch."""
        rounds = 60
        ready = [threading.Semaphore(0) for _ in range(3)]

        def write() -> None:
            store, present = connect(), None
            for number in range(rounds):
                for one in ready:
                    assert one.acquire(timeout=20), "a watcher missed a change"
                assert store.compare_and_set(prefix, present, present := str(number).encode())

        def watch(mine: threading.Semaphore) -> None:
            store, seen, last = connect(), None, str(rounds - 1).encode()
            while seen != last:
                mine.release()
                started = time.monotonic()
                seen = store.watch(prefix, seen, _LONG)
                assert time.monotonic() - started < _LONG / 2, "it was woken by the end of its time only"

        all_at_once([write, *[lambda one=one: watch(one) for one in ready]])
