"""What a cache is held to: whole values, the right ones, whoever else reads and writes at the same time."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from functools import partial

import pytest

from dewy.errors import CacheError
from dewy.testing.backend import needs
from dewy.testing.cache_atomic import AtomicCacheTests
from dewy.testing.cache_fixtures import KEY, all_at_once, digest_in, rest_of, value_in, write
from dewy.testing.cache_pins import PinningCacheTests
from dewy.testing.context import TestContext
from dewy.testing.failures import fails_well
from dewy.testing.streams import Generated, SourceBroke, Stingy, assert_same, breaking, peak_memory
from dewy.types import AtomicCache, Cache, PinningCache, TidyingCache, WatchableCache

__all__ = ["CacheConformance"]

_MEBIBYTE = 1024 * 1024
_POWERS = (("atomic", AtomicCache), ("pins", PinningCache), ("watches", WatchableCache), ("tidies", TidyingCache))
_ODD_KEYS = (
    KEY, "v1.4.0+build.5--my app (1).tar.gz", "a", "a/b", "a/b/c", "a%2Fb", "a%252Fb", "..", ".", "../../outside",
    "/absolute", "current", ".hidden", "-", "sp ace", " ", "line\nend", "nul\0", "tab\t", "q?u=e&r#y", "col:on", "st*r",
    "'\"`$(x)\\", "přílišný", "日本語", "🚀", "UPPER", "Upper", "e\u0301", "\u00e9",
    "x" * 512, "x" * 511 + "y", "€" * 512, "x" * 255, "x" * 256,
)  # fmt: skip


class CacheConformance(AtomicCacheTests, PinningCacheTests):
    """Subclass it, set ``backend`` and ``plugin``, say by flags what it can, and override the fixtures that these need."""

    __test__ = False

    def test_flags_are_true(self, cache: Cache) -> None:
        """What the class says is what the object has."""
        assert isinstance(cache, Cache), "a cache has read(), write(), delete() and keys()"
        for flag, power in _POWERS:
            has = isinstance(cache, power)
            assert has == getattr(self, flag), f"it is {'an' if has else 'no'} {power.__name__}: set {flag} = {has}"

    # ---------------------------------------------------------------------------------------------------------- values

    def test_empty_cache_has_nothing(self, cache: Cache) -> None:
        """Asking for what is not there is no error, and makes nothing."""
        assert value_in(cache, KEY) is None
        cache.delete(KEY)
        assert list(cache.keys()) == []

    @pytest.mark.parametrize(
        "value",
        [b"", b"x", bytes(range(256)), b"\r\n\x00", os.urandom(5 * _MEBIBYTE + 1)],
        ids=["empty", "one byte", "all bytes", "line ends", "5 MiB"],
    )
    def test_values_come_back_as_they_were(self, cache: Cache, reopen: Callable[[], Cache], value: bytes) -> None:
        """An empty value is a value."""
        write(cache, KEY, value)
        for reader in (cache, reopen()):
            assert_same(value_in(reader, KEY), value)
            assert list(reader.keys()) == [KEY]

    def test_short_reads_of_the_source_are_no_end(self, cache: Cache) -> None:
        """Sockets and pipes give what they have."""
        value = os.urandom(10_000)
        cache.write(KEY, Stingy(value))
        assert_same(value_in(cache, KEY), value)

    def test_value_is_replaced(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """By a shorter one, a longer one, an empty one; none is left over."""
        for value in (b"long" * 1_000_000, b"short", b"longer than that", b""):
            write(cache, KEY, value)
            assert_same(value_in(cache, KEY), value)
            assert_same(value_in(reopen(), KEY), value)
        assert list(cache.keys()) == [KEY]

    def test_value_is_deleted(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """That one and no other, for everybody, and it can be written anew."""
        for key in ("a", "a/b", "ab"):
            write(cache, key, key.encode())
        cache.delete("a")
        for reader in (cache, reopen()):
            assert value_in(reader, "a") is None
            assert sorted(reader.keys()) == ["a/b", "ab"]
        write(cache, "a", b"anew")
        assert value_in(reopen(), "a") == b"anew"

    def test_any_key_works(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """Each has a value of its own, whatever is in it, and is listed as it is."""
        for key in _ODD_KEYS:
            write(cache, key, key.encode())
        for reader in (cache, reopen()):
            wrong = [key for key in _ODD_KEYS if value_in(reader, key) != key.encode()]
            assert not wrong, f"these keys do not have the value that was written: {wrong}"
            assert sorted(reader.keys()) == sorted(_ODD_KEYS)
        for key in _ODD_KEYS:
            cache.delete(key)
        assert list(cache.keys()) == []

    @needs("streams")
    def test_values_stream(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """Memory does not grow with the value, neither for the writer nor for the reader."""
        source = Generated(48 * _MEBIBYTE)
        room = 20 * _MEBIBYTE
        peak = peak_memory(lambda: cache.write(KEY, source))  # type: ignore[arg-type]  # what it needs of BinaryIO is there
        assert peak < room, f"writing {48 * _MEBIBYTE} bytes took {peak} bytes of memory: take them in pieces"
        assert source.largest_read < room, f"{source.largest_read} bytes were asked for at once"
        assert not source.read(1), "the source was not read to its end"
        digests: list[str] = []
        peak = peak_memory(lambda: digests.append(digest_in(reopen(), KEY)))
        assert digests == [source.digest]
        assert peak < room, f"reading {48 * _MEBIBYTE} bytes took {peak} bytes of memory: give them in pieces"

    # ------------------------------------------------------------------------------------------- interrupted and at once

    @pytest.mark.parametrize("size", [0, 1000, 3 * _MEBIBYTE], ids=["at once", "early", "late"])
    def test_interrupted_write_leaves_nothing(self, cache: Cache, reopen: Callable[[], Cache], size: int) -> None:
        """A value whose source broke off is not there, and what breaks the source comes out."""
        with pytest.raises((SourceBroke, CacheError)):
            cache.write(KEY, breaking(b"x" * size))
        for reader in (cache, reopen()):
            assert value_in(reader, KEY) is None, "half a value can be read"
            assert list(reader.keys()) == [], "half a value is listed"

    def test_interrupted_write_keeps_the_old_value(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """The old one is replaced by a whole one or not at all, and the next write works."""
        write(cache, KEY, b"old")
        with pytest.raises((SourceBroke, CacheError)):
            cache.write(KEY, breaking(b"x" * 2 * _MEBIBYTE))
        for reader in (cache, reopen()):
            assert value_in(reader, KEY) == b"old"
        write(cache, KEY, b"new")
        assert value_in(reopen(), KEY) == b"new"

    def test_value_is_invisible_until_whole(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """While it is being written, a reader sees what was there before."""
        other = reopen()
        seen: list[tuple[object, list[str]]] = []

        def look() -> None:
            seen.append((value_in(other, KEY), list(other.keys())))

        cache.write(KEY, _Observed(b"x" * 3 * _MEBIBYTE, look))
        assert seen == [(None, []), (None, [])], "a value can be seen while it is being written"
        assert_same(value_in(other, KEY), b"x" * 3 * _MEBIBYTE)

    def test_reader_never_gets_a_mixture(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """Who reads while a value is replaced or deleted gets the old one to its end, or an error."""
        changes: list[Callable[[], None]] = [
            lambda: write(cache, KEY, b"b" * 2 * _MEBIBYTE),
            lambda: cache.delete(KEY),
        ]
        for change in changes:
            write(cache, KEY, b"a" * 2 * _MEBIBYTE)
            stream = reopen().read(KEY)
            assert stream is not None
            with stream, contextlib.suppress(CacheError, OSError):
                begun = stream.read(1000)
                change()
                assert_same(begun + rest_of(stream), b"a" * 2 * _MEBIBYTE, "the reader got a mixture, or half a value")

    def test_concurrent_writers_and_readers(self, cache: Cache, reopen: Callable[[], Cache]) -> None:
        """However they come, a reader gets what one writer wrote."""
        size, rounds = 300_000, 12
        write(cache, KEY, b"\0" * size)

        def write_often(number: int) -> None:
            mine = reopen()
            for _ in range(rounds):
                mine.write(KEY, Stingy(bytes([number]) * size, 20_000))

        def read_often() -> None:
            mine = reopen()
            for _ in range(rounds * 2):
                value = value_in(mine, KEY) or b""
                assert len(value) == size, "a reader got half a value"
                assert_same(value, value[:1] * size, "a reader got a mixture of two values")

        all_at_once([*(partial(write_often, number) for number in range(1, 4)), *[read_often] * 3])
        assert list(cache.keys()) == [KEY]

    @needs("tidies")
    def test_tidying_takes_nothing_that_is_in_use(self, cache: TidyingCache, reopen: Callable[[], TidyingCache]) -> None:
        """However often it is done, and by whom."""
        write(cache, KEY, b"small")
        write(cache, "large", b"x" * _MEBIBYTE)
        cache.renew([KEY, "large", "not there"])
        for other in (cache, reopen(), cache):
            other.tidy()
        assert value_in(reopen(), KEY) == b"small"
        assert_same(value_in(reopen(), "large"), b"x" * _MEBIBYTE)

    @needs("remote")
    def test_failing_store_is_an_error(self, unreachable: str, context: TestContext) -> None:
        """In time, so that the deployment can go on without it (R44), and never taken for an empty cache."""
        cache: Cache = self.open(unreachable, context)
        calls: tuple[Callable[[], object], ...] = (
            lambda: value_in(cache, KEY),
            lambda: write(cache, KEY, b"x"),
            lambda: cache.delete(KEY),
            lambda: list(cache.keys()),
        )
        for call in calls:
            with fails_well(CacheError, within=self.patience, secrets=context.secrets):
                call()


class _Observed(io.BytesIO):
    """A source that has somebody look when most of it was taken, and once more at its end."""

    def __init__(self, content: bytes, look: Callable[[], None]) -> None:
        super().__init__(content)
        self._look, self._left = look, [len(content) * 2 // 3, len(content)]

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        while self._left and self.tell() >= self._left[0]:
            self._left.pop(0)
            self._look()
        return piece
