"""From a downloaded file to a complete directory, or to none at all and a reason."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dewy.archive.formats import BLOCK, EXECUTABLES, archive_format, base_name, describe, looks_like
from dewy.archive.members import Limits, Member, Refusal, quoted
from dewy.archive.streams import Stream, decoded, raw_pieces
from dewy.archive.tar import stream_limit, tar_members
from dewy.archive.tree import Tree
from dewy.archive.zip import zip_members
from dewy.errors import ArchiveError, HostError

__all__ = ["Unpacked", "unpack"]

_DEFAULT_LIMITS = Limits()
_LOOK_AHEAD_AT = 5_000
"""Members after which the rest is counted before more is written: a million refused only when the limit is reached would
have cost a hundred thousand files. Few archives have so many, so few are read twice."""

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_ARCHIVES_FAULT = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EMLINK})
"""What a file system says of names it cannot hold: trying again does not help."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came of it.

    Attributes:
        members: How many members the archive had; 1 for a bare executable.
        bytes: The sum of their sizes.
    """

    members: int
    bytes: int


def unpack(
    source: Path, name: str, into: Path, limits: Limits = _DEFAULT_LIMITS, *, progress: Callable[[], None] = lambda: None
) -> Unpacked:
    """Unpacks an artifact into a new directory (R34, R35).

    Kept are names, content, times of files, links inside, and permissions as far as they are harmless, under the process's
    umask; not owners, extended attributes or capabilities. A bare executable becomes ``<into>/<name>``, executable; one
    that is only compressed (``tool.gz``) likewise, without that ending.

    Args:
        source: The downloaded file.
        name: The artifact's name: it says the format, and the bytes must agree.
        into: Where to; must not exist, its parent must. However this function fails, it does not exist afterwards, and
            nothing else was touched. Its bytes are not synced to the disk.
        limits: How much may be unpacked.
        progress: Called at least once per member and per 256 KiB. What it raises ends the unpacking.

    Raises:
        ArchiveError: The archive is broken, unsafe or beyond the limits. Names it, the member and the reason.
        HostError: This host cannot write it: no space, no permission, no memory.
    """
    try:
        into.mkdir(mode=0o755)
        try:
            return _fill(into, source, name, limits, progress)
        except BaseException:
            _remove(into, name)
            raise
    except Refusal as refusal:
        raise _archive_error(name, refusal) from None
    except OSError as error:
        raise _os_error(name, into, error) from error
    except MemoryError as error:
        raise HostError(f"{name} cannot be unpacked: not enough memory") from error


def _fill(into: Path, source: Path, name: str, limits: Limits, progress: Callable[[], None]) -> Unpacked:
    with source.open("rb") as file, Tree(into, limits, progress) as tree:
        for member in _members(file, name, limits, progress):
            progress()
            if tree.members == _LOOK_AHEAD_AT and archive_format(name) != "zip":  # a zip states all of it at once
                _look_ahead(source, name, limits, progress)
            with _naming(member):
                tree.add(member)
        if not tree.members:
            raise Refusal("is empty: it has no members")
        tree.finish()
        return Unpacked(tree.members, tree.bytes)


def _look_ahead(source: Path, name: str, limits: Limits, progress: Callable[[], None]) -> None:
    """Reads the whole archive without writing anything. Raises Refusal when it is beyond the limits, or damaged."""
    size = 0
    with source.open("rb") as file:
        for count, member in enumerate(_members(file, name, limits, progress), start=1):
            size += member.size
            with _naming(member):
                limits.check(count, size)
                deque(member.content, maxlen=0)


@contextlib.contextmanager
def _naming(member: Member) -> Iterator[None]:
    """Whoever refuses need not know which member it is about."""
    try:
        yield
    except Refusal as refusal:
        if refusal.member is None:
            refusal.member = member.name
        raise


def _remove(into: Path, name: str) -> None:
    try:
        shutil.rmtree(into)
    except OSError as error:
        why = error.strerror or str(error)
        raise HostError(f"{name} failed to unpack, and what there is of it at {into} cannot be removed: {why}") from error


def _members(file: BinaryIO, name: str, limits: Limits, progress: Callable[[], None]) -> Iterator[Member]:
    """The members of whatever the name says it is."""
    form = archive_format(name)
    compression = (form or "").removeprefix("tar.")
    if form is not None:
        _check_kind(file.read(BLOCK), {compression}, f"is named like {describe(compression)}")
        file.seek(0)
    if form == "zip":
        return zip_members(file, limits, progress)
    stream = Stream(decoded(raw_pieces(file, progress), compression), stream_limit(limits), progress)
    inside = stream.peek(BLOCK)
    if form is not None and form.startswith("tar"):
        _check_kind(inside, {"tar"}, "is named like a tar archive")
        return tar_members(stream)
    _check_kind(inside, EXECUTABLES, "is neither an archive by its name nor an executable by its content")
    return iter([_executable(name, stream)])


def _check_kind(head: bytes, kinds: set[str] | frozenset[str], what: str) -> None:
    kind = looks_like(head)
    if kind not in kinds:
        raise Refusal(f"{what}, but looks like {describe(kind)}", "Check what was published under that name")


def _executable(name: str, stream: Stream) -> Member:
    file_name = base_name(name)
    if "/" in file_name:
        raise Refusal("has a slash in its name, and is no archive")
    return Member(file_name, mode=0o755, content=stream.rest())


def _archive_error(name: str, refusal: Refusal) -> ArchiveError:
    member = "" if refusal.member is None else f"its member {quoted(refusal.member)} "
    hint = refusal.hint or "Publish another: nothing of it was deployed"
    return ArchiveError(f"{name} is refused: {member or 'it '}{refusal.reason}", hint)


def _os_error(name: str, into: Path, error: OSError) -> ArchiveError | HostError:
    why = error.strerror or str(error)
    if error.errno in _ARCHIVES_FAULT:
        return ArchiveError(f"{name} is refused: this host's file system does not take one of its members: {why}")
    hint = f"Make room on the file system of {into.parent}" if error.errno in _NO_SPACE else ""
    return HostError(f"{name} cannot be unpacked into {into}: {why}", hint)
