"""Writing members below one directory, so that nothing outside it can be touched.

By construction, not by looking first: every path is walked from a descriptor of the directory, one name at a time, never
through a link; files are made only where nothing is yet; and symlinks are made last, when everything else is written. So
the file system itself decides whether two names are one (letter case, Unicode forms), and a second one is refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from dewy.archive.members import DIRECTORY, FILE, HARDLINK, SYMLINK, Limits, Member, Refusal, quoted
from dewy.archive.paths import member_path, symlink_target

__all__ = ["Tree"]

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = 0o755
"""Permission bits that are kept: no setuid, setgid or sticky bit, nothing for others to write. The umask applies too."""

_NO_DIRECTORY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What opening a directory says when there is something else, or nothing."""

_LAST_TIME = 1 << 33
"""Seconds since 1970 up to which a time is believed (the year 2242)."""

_MOST_LINK_TEXT = 16 << 20
"""Bytes of all symlinks' paths and targets: they are kept in memory until the end."""

Parts = tuple[str, ...]


class Tree:
    """A directory that is being filled. A context manager: holds descriptors.

    All methods raise Refusal for what the archive is guilty of, OSError for what the host is.

    Args:
        root: The directory; exists and is empty.
        limits: How much may be written.
        progress: Called for every piece of content.
    """

    def __init__(self, root: Path, limits: Limits, progress: Callable[[], None]) -> None:
        self.members = 0
        self.bytes = 0
        self._limits = limits
        self._progress = progress
        self._directories = _Directories(root, limits.max_members)
        self._symlinks: dict[Parts, str] = {}
        self._link_text = 0

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *exception: object) -> None:
        self._directories.close()

    def add(self, member: Member) -> None:
        """Writes one member; a symlink is only remembered."""
        self.members += 1
        self._limits.check(self.members, self.bytes + member.size)
        path = member_path(member.name)
        self._check_links_above(path)
        if member.kind is DIRECTORY:
            self._add_directory(path, member.mode)
        elif not path:
            raise Refusal("names the release directory itself, and is no directory")
        elif member.kind is FILE:
            self._add_file(path, member)
        elif member.kind is SYMLINK:
            self._add_symlink(path, member.target)
        elif member.kind is HARDLINK:
            self._add_hardlink(path, member.target)
        else:
            raise Refusal(f"is {member.kind}")

    def finish(self) -> None:
        """Makes the symlinks."""
        for path, target in self._symlinks.items():
            self._progress()
            try:
                os.symlink(target, path[-1], dir_fd=self._directories.enter(path[:-1]))
            except FileExistsError:
                raise _taken("/".join(path)) from None
            except Refusal as refusal:  # a file system without letter case finds another symlink on the way
                refusal.member = "/".join(path)
                raise

    def _check_links_above(self, path: Parts) -> None:
        if not self._symlinks:
            return
        for length in range(1, len(path) + 1):
            if path[:length] not in self._symlinks:
                continue
            if length == len(path):
                raise _taken()
            raise Refusal(f"would be written through the symlink {quoted('/'.join(path[:length]))}")

    def _add_directory(self, path: Parts, mode: int) -> None:
        """Its own permissions only ever take away from those that a directory gets; its owner can always work in it."""
        if not path:
            return
        descriptor = self._directories.enter(path)
        now = stat.S_IMODE(os.fstat(descriptor).st_mode)
        wanted = now & ~(0o077 & ~mode)
        if wanted != now:
            os.fchmod(descriptor, wanted)

    def _add_file(self, path: Parts, member: Member) -> None:
        parent = self._directories.enter(path[:-1])
        try:
            descriptor = os.open(path[-1], _CREATE, (member.mode & _KEPT) | 0o600, dir_fd=parent)
        except FileExistsError:
            raise _taken() from None
        try:
            for piece in member.content:
                self._write(descriptor, piece)
            if member.modified is not None and 0 <= member.modified < _LAST_TIME:
                os.utime(descriptor, (member.modified, member.modified))
        finally:
            os.close(descriptor)

    def _write(self, descriptor: int, piece: bytes) -> None:
        self._progress()
        self.bytes += len(piece)
        self._limits.check(self.members, self.bytes)
        written = os.write(descriptor, piece)
        while written < len(piece):  # a full disk takes a part, then says so
            written += os.write(descriptor, memoryview(piece)[written:])

    def _add_symlink(self, path: Parts, target: str) -> None:
        checked = symlink_target(target, len(path) - 1)
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path[-1], dir_fd=self._directories.enter(path[:-1]))
            raise _taken()
        self._link_text += len(target) + sum(map(len, path))
        if self._link_text > _MOST_LINK_TEXT:
            raise Refusal("is one symlink too many: their paths and targets are more than 16 MiB of text")
        self._symlinks[path] = checked

    def _add_hardlink(self, path: Parts, target: str) -> None:
        try:
            source = member_path(target)
        except Refusal as refusal:
            raise Refusal(f"is a hard link to {quoted(target)}, which {refusal.reason}") from None
        if source in self._symlinks:  # tar writes a second name of a symlink so
            self._add_symlink(path, self._symlinks[source])
            return
        missing = Refusal(f"is a hard link to {quoted(target)}, which is no file that comes before it in the archive")
        if not source:
            raise missing
        parent = self._directories.enter(path[:-1])
        with self._directories.existing(source[:-1], missing) as directory:
            try:
                if not stat.S_ISREG(os.lstat(source[-1], dir_fd=directory).st_mode):
                    raise missing
                os.link(source[-1], path[-1], src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                raise missing from None
            except FileExistsError:
                raise _taken() from None


def _taken(member: str | None = None) -> Refusal:
    return Refusal("occurs twice: there is another member of that name, or one that this file system cannot tell from it",
                   member=member)  # fmt: skip


class _Directories:
    """Descriptors of a directory and of those on the way to where the last member was written."""

    def __init__(self, root: Path, limit: int) -> None:
        self._names: list[str] = []
        self._descriptors = [os.open(root, _OPEN_DIRECTORY)]
        self._limit = self._left = limit

    def close(self) -> None:
        """Closes them all."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def enter(self, path: Parts) -> int:
        """A descriptor of a directory, which is made if it is not there. Stays open until the next call."""
        common = 0
        for ours, wanted in zip(self._names, path, strict=False):
            if ours != wanted:
                break
            common += 1
        while len(self._names) > common:
            self._names.pop()
            os.close(self._descriptors.pop())
        for name in path[common:]:
            self._descriptors.append(self._make(self._descriptors[-1], name))
            self._names.append(name)
        return self._descriptors[-1]

    @contextlib.contextmanager
    def existing(self, path: Parts, otherwise: Refusal) -> Iterator[int]:
        """A descriptor of a directory that must be there; raises ``otherwise`` when it is not."""
        descriptor = os.dup(self._descriptors[0])
        try:
            for name in path:
                try:
                    below = os.open(name, _OPEN_DIRECTORY, dir_fd=descriptor)
                except OSError as error:
                    raise otherwise if error.errno in _NO_DIRECTORY else error from None
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def _make(self, parent: int, name: str) -> int:
        try:
            return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            self._left -= 1
            if self._left < 0:
                raise Refusal(f"implies more directories than the limit of {self._limit} members") from None
            os.mkdir(name, 0o755, dir_fd=parent)
            return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        except OSError as error:
            if error.errno in _NO_DIRECTORY:
                raise Refusal(f"lies below {quoted(name)}, which is no directory") from None
            raise
