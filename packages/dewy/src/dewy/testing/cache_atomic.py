"""What a cache with compare-and-set is held to: of all who try at once, one succeeds, and who watches is woken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from dewy.testing.backend import needs
from dewy.testing.cache_fixtures import CacheFixtures, all_at_once, value_in, write
from dewy.types import AtomicCache, WatchableCache

__all__ = ["AtomicCacheTests"]

_CLAIM = "claims/registry answer"


class AtomicCacheTests(CacheFixtures):
    """The tests behind the flags ``atomic`` and ``watches``."""

    __test__ = False

    @needs("atomic")
    def test_sets_what_is_as_expected(self, cache: AtomicCache, reopen: Callable[[], AtomicCache]) -> None:
        """Absent, then one value after the other; an empty value is not an absent one."""
        steps: list[tuple[bytes | None, bytes]] = [
            (None, b""),
            (b"", b"first"),
            (b"first", b"second \x00\xff"),
            (b"second \x00\xff", b""),
        ]
        for expected, value in steps:
            assert cache.compare_and_set(_CLAIM, expected, value) is True, f"{expected!r} was there and was not replaced"
            assert value_in(reopen(), _CLAIM) == value
        assert list(cache.keys()) == [_CLAIM]

    @needs("atomic")
    def test_leaves_what_is_not_as_expected(self, cache: AtomicCache, reopen: Callable[[], AtomicCache]) -> None:
        """Somebody was quicker."""
        assert cache.compare_and_set(_CLAIM, b"", b"mine") is False, "an absent value was taken for an empty one"
        assert value_in(cache, _CLAIM) is None
        write(cache, _CLAIM, b"theirs")
        for expected in (None, b"", b"their", b"theirs and more", b"Theirs"):
            assert reopen().compare_and_set(_CLAIM, expected, b"mine") is False, f"{expected!r} is not what was there"
            assert value_in(cache, _CLAIM) == b"theirs"

    @needs("atomic")
    def test_deleted_is_absent(self, cache: AtomicCache) -> None:
        """A claim that is given back can be taken."""
        assert cache.compare_and_set(_CLAIM, None, b"mine")
        cache.delete(_CLAIM)
        assert not cache.compare_and_set(_CLAIM, b"mine", b"again")
        assert cache.compare_and_set(_CLAIM, None, b"yours")

    @needs("atomic")
    def test_one_of_many_claims(self, reopen: Callable[[], AtomicCache]) -> None:
        """However many try at the same moment."""
        for number in range(10):
            winners: list[int] = []

            def claim(who: int, key: str = f"{_CLAIM} {number}", won: list[int] = winners) -> None:
                if reopen().compare_and_set(key, None, str(who).encode()):
                    won.append(who)

            all_at_once([partial(claim, who) for who in range(8)])
            assert len(winners) == 1, f"{len(winners)} claimants think that they have it"
            assert value_in(reopen(), f"{_CLAIM} {number}") == str(winners[0]).encode()

    @needs("atomic")
    def test_no_update_is_lost(self, cache: AtomicCache, reopen: Callable[[], AtomicCache]) -> None:
        """Four count to ten each, and the sum is forty."""
        write(cache, _CLAIM, b"0")

        def count() -> None:
            mine, done = reopen(), 0
            while done < 10:
                present = value_in(mine, _CLAIM) or b""
                done += mine.compare_and_set(_CLAIM, present, str(int(present) + 1).encode())

        all_at_once([count] * 4)
        assert value_in(cache, _CLAIM) == b"40"

    @needs("atomic")
    def test_removes_what_is_as_expected(self, cache: AtomicCache, reopen: Callable[[], AtomicCache]) -> None:
        """A claim is given back only by who has it."""
        assert cache.compare_and_set(_CLAIM, None, b"mine")
        assert reopen().compare_and_set(_CLAIM, b"yours", None) is False
        assert value_in(cache, _CLAIM) == b"mine"
        assert reopen().compare_and_set(_CLAIM, b"mine", None) is True
        assert value_in(cache, _CLAIM) is None
        assert cache.compare_and_set(_CLAIM, b"mine", None) is False, "what is not there was removed"
        assert cache.compare_and_set(_CLAIM, None, None) is True, "nothing is nothing"

    @needs("watches")
    def test_watcher_is_woken(self, cache: WatchableCache, reopen: Callable[[], WatchableCache]) -> None:
        """Set, replaced, removed: long before its time is over."""
        steps: list[tuple[bytes | None, bytes | None]] = [(None, b""), (b"", b"news"), (b"news", None)]
        for seen, value in steps:
            started = time.monotonic()
            timer = threading.Timer(0.2, reopen().compare_and_set, (_CLAIM, seen, value))
            timer.start()
            got = cache.watch(_CLAIM, seen, self.patience)
            timer.join()
            assert got == value
            assert time.monotonic() - started < self.patience / 2, "the watcher was not woken, its time was over"

    @needs("watches")
    def test_watcher_returns_in_time(self, cache: WatchableCache) -> None:
        """What nobody changes is returned as it is; what was changed before, at once."""
        assert cache.watch(_CLAIM, None, 0.3) is None
        assert cache.compare_and_set(_CLAIM, None, b"first")
        started = time.monotonic()
        assert cache.watch(_CLAIM, None, self.patience) == b"first"
        assert cache.watch(_CLAIM, b"before", self.patience) == b"first"
        assert time.monotonic() - started < self.patience, "it waited for another change"

    @needs("watches")
    def test_watcher_misses_nothing(self, cache: WatchableCache, reopen: Callable[[], WatchableCache]) -> None:
        """A change that comes just as the watcher begins is seen as well."""
        for number in range(10):
            key, gate = f"{_CLAIM} {number}", threading.Barrier(2)
            seen: list[bytes | None] = []

            def change(key: str = key, gate: threading.Barrier = gate) -> None:
                gate.wait(10)
                reopen().compare_and_set(key, None, b"news")

            def watch(key: str = key, gate: threading.Barrier = gate, seen: list[bytes | None] = seen) -> None:
                gate.wait(10)
                started = time.monotonic()
                seen.append(cache.watch(key, None, self.patience))
                assert time.monotonic() - started < self.patience / 2, "a change between two calls was missed"

            all_at_once([change, watch])
            assert seen == [b"news"]
