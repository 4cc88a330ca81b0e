"""What a cache with compare-and-set is held to: of all who try at once, one succeeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from dewy.testing.backend import needs
from dewy.testing.cache_fixtures import CacheFixtures, all_at_once, value_in, write
from dewy.types import AtomicCache

__all__ = ["AtomicCacheTests"]

_CLAIM = "claims/registry answer"


class AtomicCacheTests(CacheFixtures):
    """The tests behind the flag ``atomic``."""

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
    def test_time_to_live_ends(self, cache: AtomicCache, reopen: Callable[[], AtomicCache]) -> None:
        """A claimant that died is replaced, soon after its time and not before."""
        started = time.monotonic()
        assert cache.compare_and_set(_CLAIM, None, b"mine", ttl=self.ttl)
        assert value_in(cache, _CLAIM) == b"mine", "it was forgotten at once"
        while not reopen().compare_and_set(_CLAIM, None, b"yours"):
            assert time.monotonic() - started < self.ttl * 3 + self.patience, "it is never forgotten"
            time.sleep(self.ttl / 20)
        assert time.monotonic() - started >= self.ttl * 0.9, "it was forgotten too soon"
        assert value_in(cache, _CLAIM) == b"yours"

    @needs("atomic")
    def test_time_to_live_is_that_of_the_last_value(self, cache: AtomicCache) -> None:
        """Who sets a value without one, or writes it, has it stay."""
        assert cache.compare_and_set(_CLAIM, None, b"claimed", ttl=self.ttl)
        assert cache.compare_and_set(_CLAIM, b"claimed", b"answered")
        assert cache.compare_and_set("other", None, b"claimed", ttl=self.ttl)
        write(cache, "other", b"written")
        time.sleep(self.ttl * 1.5)
        assert (value_in(cache, _CLAIM), value_in(cache, "other")) == (b"answered", b"written")
