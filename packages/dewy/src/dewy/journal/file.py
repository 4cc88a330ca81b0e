"""The journal on disk: ``<root>/.dewy/journal.jsonl`` and the older files that rotation has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from dewy.journal.entries import Entry, line_of, parse_line

__all__ = ["MOST_BYTES", "OLD_FILES", "Journal"]

MOST_BYTES = 1 << 20
"""Bytes of one file; then it is put aside and a new one begun."""
OLD_FILES = 4
"""Files that are kept beside the one that is written."""

_MOST_LINE = 1 << 18


class Journal:
    """The journal of one root. Written by whoever has the root's lock, one at a time; read by anybody who may.

    Args:
        state_directory: ``<root>/.dewy``.
    """

    def __init__(self, state_directory: Path) -> None:
        self._path = state_directory / "journal.jsonl"

    def append(self, entry: Entry) -> None:
        """Writes an entry and waits until the disk has it. Raises OSError; the entry may then be there in part or not."""
        self._rotate()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            # a line that a power cut or a full disk has torn stays alone with its fault
            torn = (size := os.fstat(descriptor).st_size) > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            rest = memoryview(b"\n" * torn + line_of(entry).encode() + b"\n")
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def entries(self) -> Iterator[Entry]:
        """All entries, oldest first. What cannot be understood is passed over. Raises OSError."""
        for path in self._files():
            yield from _entries_in(path)

    def follow(self) -> Iterator[Entry | None]:
        """All entries, oldest first, and then those that come, for ever; None when there is nothing new. Raises OSError."""
        with closing(_Tail(self._path)) as tail:
            for path in self._files()[:-1]:
                if not tail.reads(path):
                    yield from _entries_in(path)
            while True:
                yield from tail.news()
                yield None

    def _files(self) -> list[Path]:
        return [*(self._old(number) for number in range(OLD_FILES, 0, -1)), self._path]

    def _old(self, number: int) -> Path:
        return self._path.with_suffix(f".{number}.jsonl")

    def _rotate(self) -> None:
        """Puts a full file aside. Killed in between, it leaves a number out, and nothing is lost."""
        with suppress(FileNotFoundError):
            if self._path.stat().st_size < MOST_BYTES:
                return
            for number in range(OLD_FILES - 1, 0, -1):
                with suppress(FileNotFoundError):
                    self._old(number).replace(self._old(number + 1))
            self._path.replace(self._old(1))


def _entries_in(path: Path) -> Iterator[Entry]:
    with suppress(FileNotFoundError), path.open("rb") as file:
        while line := file.readline(_MOST_LINE):
            if entry := parse_line(line):
                yield entry


class _Tail:
    """Reads what is appended to a file, from its beginning on, also when another takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()
        self._rest = b""

    def close(self) -> None:
        """Lets go of the file."""
        if self._file:
            self._file.close()

    def reads(self, path: Path) -> bool:
        """Whether the file that is read is the one of this name."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        return self._file is not None and os.path.samestat(found, os.fstat(self._file.fileno()))

    def news(self) -> Iterator[Entry]:
        """The entries that have come since the last time."""
        stays = self.reads(self._path)  # asked first: what the file of before got last is then read below
        if self._file:
            yield from self._lines(self._file)
        if not stays:
            self.close()
            self._file, self._rest = self._open(), b""
            if self._file:
                yield from self._lines(self._file)

    def _lines(self, file: BinaryIO) -> Iterator[Entry]:
        while piece := file.read(_MOST_LINE):
            *lines, self._rest = (self._rest + piece).split(b"\n")
            for line in lines:
                if entry := parse_line(line):
                    yield entry

    def _open(self) -> BinaryIO | None:
        with suppress(FileNotFoundError):
            return self._path.open("rb")
        return None
