"""Caches that are wrong in one way each, and the tests of the kit that must say so."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest

from dewy.backends.bounds import Bounds, bounds_of
from dewy.backends.file_cache import FileCache
from dewy.backends.plugin import FILE_CACHE, MEMORY_CACHE
from dewy.errors import CacheError
from dewy.testing import CacheConformance
from dewy.testing.streams import SourceBroke
from kit_mutants import mutant


class FileSuite(CacheConformance):
    """The kit on a file cache."""

    __test__ = False
    backend = FILE_CACHE
    plugin = "dewy.backends.plugin"
    pins = True

    @staticmethod
    def build(broken: Any, url: Any, _context: object) -> Any:
        return broken(Path(url.path), bounds_of(url))

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return (tmp_path / "cache").as_uri() + "?keep=60"

    @pytest.fixture
    def small_url(self, tmp_path: Path) -> str:
        return (tmp_path / "small").as_uri() + "?keep=3"

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> str:
        (tmp_path / "file").write_bytes(b"")
        return (tmp_path / "file" / "cache").as_uri()


class MemorySuite(CacheConformance):
    """The kit on a memory cache, all of whose openings share their values."""

    __test__ = False
    backend = MEMORY_CACHE
    plugin = "dewy.backends.plugin"
    remote = False
    shared = False
    streams = False
    pins = True

    @staticmethod
    def build(broken: Any, url: Any, _context: object) -> Any:
        return broken(bounds_of(url))

    @pytest.fixture
    def url(self) -> str:
        return "memory://?keep=60&max-size=64M"

    @pytest.fixture
    def small_url(self) -> str:
        return "memory://?keep=3"


# ------------------------------------------------------------------------------------------------------------------- values


class PretendsNotToPin(FileCache):
    """Its class says that it does not pin, and it does."""


class AbsentIsEmpty(FileCache):
    def read(self, key: str) -> BinaryIO | None:
        return super().read(key) or io.BytesIO()


class EmptyIsAbsent(FileCache):
    def read(self, key: str) -> BinaryIO | None:
        stream = super().read(key)
        if stream is None or stream.peek(1):  # type: ignore[attr-defined]
            return stream
        return stream.close()


class TakesTheFirstPieceOnly(FileCache):
    def write(self, key: str, source: BinaryIO) -> None:
        super().write(key, io.BytesIO(source.read(1 << 20)))


class InPlace(FileCache):
    """Writes into the value's own file."""

    flags: ClassVar[int] = os.O_WRONLY | os.O_CREAT | os.O_TRUNC

    def write(self, key: str, source: BinaryIO) -> None:
        super().write(key, io.BytesIO())
        path = next(path for path in self._directory.iterdir() if path.name == key.replace("/", "%2F"))
        with os.fdopen(os.open(path, self.flags), "wb") as file:
            while piece := source.read(1 << 16):
                file.write(piece)
                file.flush()


class OverTheOldValue(InPlace):
    """Leaves the end of a longer value that was there."""

    flags = os.O_WRONLY | os.O_CREAT

    def write(self, key: str, source: BinaryIO) -> None:
        old = self.read(key)
        with old or io.BytesIO() as stream:
            before = stream.read()
        new = b"".join(iter(lambda: source.read(1 << 16), b""))
        FileCache.write(self, key, io.BytesIO(new + before[len(new) :]))


class DeletesAllThatBeginSo(FileCache):
    def delete(self, key: str) -> None:
        for other in self.keys():
            if other.startswith(key):
                super().delete(other)


class MixesKeysUp(FileCache):
    """Takes a slash and an underscore for the same, as a careless file name does."""

    def write(self, key: str, source: BinaryIO) -> None:
        super().write(key.replace("/", "_").casefold(), source)

    def read(self, key: str) -> BinaryIO | None:
        return super().read(key.replace("/", "_").casefold())


class TakesAllIntoMemory(FileCache):
    def write(self, key: str, source: BinaryIO) -> None:
        super().write(key, io.BytesIO(b"".join(iter(lambda: source.read(1 << 20), b""))))


class KeepsWhatCameBeforeTheBreak(FileCache):
    def write(self, key: str, source: BinaryIO) -> None:
        got = io.BytesIO()
        with suppress(SourceBroke):
            shutil.copyfileobj(source, got)
        super().write(key, io.BytesIO(got.getvalue()))


class DeletesBeforeItWrites(FileCache):
    def write(self, key: str, source: BinaryIO) -> None:
        self.delete(key)
        super().write(key, source)


class _Reopening(io.RawIOBase):
    """Opens the file anew for every piece."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._at = path, 0

    def read(self, size: int = -1, /) -> bytes:
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(self._at)
            piece = file.read(size)
        self._at += len(piece)
        return piece


class ReadsWhatIsThereNow(FileCache):
    def read(self, key: str) -> BinaryIO | None:
        stream = super().read(key)
        if stream is None:
            return None
        stream.close()
        path = next(path for path in self._directory.iterdir() if path.name == key.replace("/", "%2F"))
        return _Reopening(path)  # type: ignore[return-value]


class OneTemporaryNameForAll(FileCache):
    def write(self, key: str, source: BinaryIO) -> None:
        self._directory.mkdir(exist_ok=True)
        temporary = self._directory / ".temporary"
        with temporary.open("wb") as file:
            while piece := source.read(1 << 16):
                file.write(piece)
                file.flush()
        temporary.replace(self._directory / key)


class DownIsEmpty(FileCache):
    def read(self, key: str) -> BinaryIO | None:
        with suppress(CacheError):
            return super().read(key)
        return None


# --------------------------------------------------------------------------------------------------------------------- pins


class KeepsAll(FileCache):
    def _evict(self, written: str) -> None:
        pass


class FirstInFirstOut(FileCache):
    """Reading is no use to it."""

    def read(self, key: str) -> BinaryIO | None:
        stream = super().read(key)
        if stream is not None:
            os.utime(stream.fileno(), (1, self._written.setdefault(key, 0)))
        return stream

    def __init__(self, directory: Path, bounds: Bounds) -> None:
        super().__init__(directory, bounds)
        self._written: dict[str, float] = {}

    def write(self, key: str, source: BinaryIO) -> None:
        super().write(key, source)
        self._written[key] = time.time()


class MakesRoomFirst(FileCache):
    """Removes one when full before it writes, also when the value only replaces itself."""

    def write(self, key: str, source: BinaryIO) -> None:
        for other in sorted(self.keys())[: max(0, len(self.keys()) - self._bounds.keep + 1)]:
            self.delete(other)
        super().write(key, source)


class IgnoresPins(FileCache):
    def _pinned(self) -> list[str]:
        return []


class NeverUnpins(FileCache):
    def pin(self, keys: Sequence[str]) -> None:
        super().pin([*keys, *self._pinned()])


class PinningWrites(FileCache):
    def pin(self, keys: Sequence[str]) -> None:
        super().pin(keys)
        for key in keys:
            if key not in self.keys():
                self.write(key, io.BytesIO())


class PinsInMemory(FileCache):
    def __init__(self, directory: Path, bounds: Bounds) -> None:
        super().__init__(directory, bounds)
        self._mine: list[str] = []

    def pin(self, keys: Sequence[str]) -> None:
        self._mine = list(keys)

    def _pinned(self) -> list[str]:
        return self._mine


MUTANTS = [
    mutant(FileSuite, PretendsNotToPin, "test_flags_are_true", pins=False),
    mutant(FileSuite, AbsentIsEmpty, "test_empty_cache_has_nothing", "test_value_is_deleted"),
    mutant(FileSuite, EmptyIsAbsent, "test_values_come_back_as_they_were"),
    mutant(FileSuite, TakesTheFirstPieceOnly, "test_short_reads_of_the_source_are_no_end", "test_values_stream"),
    mutant(
        FileSuite,
        InPlace,
        "test_interrupted_write_leaves_nothing",
        "test_interrupted_write_keeps_the_old_value",
        "test_value_is_invisible_until_whole",
    ),
    mutant(FileSuite, OverTheOldValue, "test_value_is_replaced"),
    mutant(FileSuite, DeletesAllThatBeginSo, "test_value_is_deleted"),
    mutant(FileSuite, MixesKeysUp, "test_any_key_works"),
    mutant(FileSuite, TakesAllIntoMemory, "test_values_stream"),
    mutant(FileSuite, KeepsWhatCameBeforeTheBreak, "test_interrupted_write_leaves_nothing"),
    mutant(FileSuite, DeletesBeforeItWrites, "test_interrupted_write_keeps_the_old_value"),
    mutant(FileSuite, ReadsWhatIsThereNow, "test_reader_never_gets_a_mixture", "test_what_is_read_is_read_to_its_end"),
    mutant(FileSuite, OneTemporaryNameForAll, "test_concurrent_writers_and_readers"),
    mutant(FileSuite, DownIsEmpty, "test_failing_store_is_an_error"),
    mutant(FileSuite, KeepsAll, "test_number_is_bounded"),
    mutant(FileSuite, FirstInFirstOut, "test_what_was_unused_for_longest_goes"),
    mutant(FileSuite, MakesRoomFirst, "test_replacing_removes_nothing"),
    mutant(FileSuite, IgnoresPins, "test_pinned_stay", "test_pins_replace_earlier_ones"),
    mutant(FileSuite, NeverUnpins, "test_pins_replace_earlier_ones"),
    mutant(FileSuite, PinningWrites, "test_pinning_is_not_writing"),
    mutant(FileSuite, PinsInMemory, "test_pins_survive_a_restart"),
]
