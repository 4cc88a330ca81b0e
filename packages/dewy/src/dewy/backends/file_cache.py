"""The default cache: files in one directory of this host, under their keys as names (R41, R45).

Several processes may share the directory. A value appears by a rename, so a reader finds the old one or the new one; who
reads one that is removed meanwhile keeps it to the end, as Unix file systems have it.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from dewy.backends.bounds import Bounds, Entry, bounds_of, surplus
from dewy.backends.cachenames import CURRENT, PINNED, TAG, encoded, file_name, is_long, key_of
from dewy.backends.local import PIECE, fail_as, local_path, open_plain
from dewy.errors import CacheError
from dewy.files import NewFile, is_temporary, sweep
from dewy.types import Cache, Context
from dewy.urls import BackendURL

__all__ = ["FileCache", "open_cache"]

_TAG_TEXT = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"  # fixed by https://bford.info/cachedir/
    b"# This is dewy's cache: what is old in it is removed.\n"
)
_LONGEST_LINE = 16 * 1024  # more than the encoding of any key of 512 characters
_LARGEST_PINNED = 1024 * 1024


class FileCache:
    """A directory of values, bounded: what was unused for longest goes first, never what is pinned or just written.

    Args:
        directory: Where the values are; made, for its owner only, when the first one is written.
        bounds: How much is kept.
    """

    def __init__(self, directory: Path, bounds: Bounds) -> None:
        self._directory, self._bounds = directory, bounds

    def read(self, key: str) -> BinaryIO | None:
        """The value, which counts as used now; None also for what is no plain file. Raises CacheError."""
        name = file_name(key)
        with self._failing("read", name):
            file = _open_value(self._directory / name)
            if file is None:
                return None
            with suppress(OSError):  # a cache that may only be read can be read all the same
                os.utime(file.fileno(), ns=(time.time_ns(), time.time_ns()))
            return file

    def write(self, key: str, source: BinaryIO) -> None:
        """Stores a value and removes what is beyond the bounds. Raises CacheError, and what ``source`` raises."""
        name = file_name(key)
        with self._failing("write", name):
            self._claim()
            new = NewFile(self._directory)
        with new:
            piece = encoded(key).encode() + b"\n" if is_long(name) else source.read(PIECE)
            while piece:
                with self._failing("write", name):
                    new.write(piece)
                piece = source.read(PIECE)
            with self._failing("write", name):
                new.publish(self._directory / name)
        self._evict(key)

    def delete(self, key: str) -> None:
        """Removes a value. Raises CacheError."""
        name = file_name(key)
        with self._failing("remove", name):
            (self._directory / name).unlink(missing_ok=True)

    def keys(self) -> list[str]:
        """The keys of all values. Raises CacheError."""
        with self._failing("list"):
            return [entry.key for entry in self._entries()]

    def pin(self, keys: Sequence[str]) -> None:
        """Has these stay, also across restarts; ``current`` holds the first one as text. Raises CacheError."""
        with self._failing("write", CURRENT):
            self._claim()
            self._put(PINNED, json.dumps(list(keys)).encode())
            if keys:
                self._put(CURRENT, keys[0].encode("utf-8", "surrogatepass"))
            else:
                (self._directory / CURRENT).unlink(missing_ok=True)

    def _failing(self, doing: str, name: str = "") -> AbstractContextManager[None]:
        return fail_as(CacheError, f"the cache cannot {doing} {self._directory / name}")

    def _claim(self) -> None:
        """Makes the directory a cache's, or refuses: where other people's files are, nothing may be removed."""
        if not (self._directory / TAG).exists():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.scandir(self._directory) as entries:
                foreign = next((entry.name for entry in entries if _is_foreign(entry)), None)
            if foreign is not None:
                raise CacheError(
                    f"{self._directory} is no cache of dewy, since it holds {foreign!r}",
                    "Give the cache a directory of its own: what is old in it is removed",
                )
            self._put(TAG, _TAG_TEXT)
        sweep(self._directory)

    def _put(self, name: str, content: bytes) -> None:
        with NewFile(self._directory) as new:
            new.write(content)
            new.publish(self._directory / name)

    def _evict(self, written: str) -> None:
        with self._failing("remove what is old in"):
            for key in surplus(self._entries(), self._bounds, spare={written, *self._pinned()}):
                (self._directory / file_name(key)).unlink(missing_ok=True)

    def _entries(self) -> Iterator[Entry]:
        try:
            entries = os.scandir(self._directory)
        except FileNotFoundError:
            return  # nothing was ever written
        with entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # it was removed just now
                    status = entry.stat(follow_symlinks=False)
                    key = self._key(entry.name) if stat.S_ISREG(status.st_mode) else None
                    if key is not None:
                        yield Entry(key, status.st_size, status.st_mtime_ns)

    def _key(self, name: str) -> str | None:
        """The key whose value is in the file of that name, if it is one of ours."""
        if not is_long(name):
            return key_of(name)
        with (self._directory / name).open("rb") as file:
            key = key_of(file.readline(_LONGEST_LINE).decode("ascii", "replace").rstrip("\n"))
        return key if key is not None and file_name(key) == name else None

    def _pinned(self) -> list[str]:
        """What is pinned, by this process or one before it; nothing when that is not to be found out."""
        file = _open_value(self._directory / PINNED)
        if file is None:
            return []
        with file:
            try:
                keys = json.loads(file.read(_LARGEST_PINNED))
            except (ValueError, RecursionError):
                return []  # damaged: the next pin writes it anew
        return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []


class _Behind(io.BufferedReader):
    """A value behind the line with its key: it can only be read on."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        raise io.UnsupportedOperation("seek")


def _open_value(path: Path) -> BinaryIO | None:
    """A plain file, at its value; None when there is none. Links are not followed and FIFOs are not waited for."""
    try:
        fd = open_plain(path, follow=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):  # nothing, a symbolic link, a socket
            return None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    raw = io.FileIO(fd)
    if not is_long(path.name):
        return io.BufferedReader(raw)
    file = _Behind(raw)
    file.readline(_LONGEST_LINE)
    return file


def _is_foreign(entry: os.DirEntry[str]) -> bool:
    """Whether this is a file that neither dewy nor the Go original puts into a cache."""
    ours = entry.name in (CURRENT, PINNED) or "--" in entry.name or is_long(entry.name) or is_temporary(entry.name)
    return not ours and entry.is_file(follow_symlinks=False)


def open_cache(url: BackendURL, context: Context) -> Cache:
    """Opens the cache that a URL names. Raises UsageError for a URL it cannot work with."""
    is_default = not url.host and not url.path
    return FileCache(context.cache_directory if is_default else local_path(url, "cache"), bounds_of(url))
