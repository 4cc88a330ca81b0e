"""The members of a zip archive, read from its file.

The standard library's zipfile is not used: it holds every member in memory before one can be counted, decompresses bzip2
and LZMA without a bound, and is content where the two headers of a member disagree or members overlap. dewy reads what
release archives are made of (stored and deflated members, zip64), strictly. Layout: PKWARE's APPNOTE 6.3.10.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dewy.archive.members import DIRECTORY, FILE, SYMLINK, Limits, Member, Refusal
from dewy.archive.paths import MAX_PATH
from dewy.archive.streams import inflated

__all__ = ["zip_members"]

_END = struct.Struct("<4s4H2IH")
_END_SIGNATURE = b"PK\x05\x06"
_LONGEST_COMMENT = 0xFFFF
_LOCATOR64 = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")

_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_SIZES_FOLLOW = 1 << 3
_PATCH = 1 << 5
_STORED, _DEFLATED = 0, 8
_METHODS = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES encryption"}
_IN_ZIP64 = 0xFFFFFFFF
_ZIP64, _TIMES = 0x0001, 0x5455
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member as the central directory has it."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int
    modified: int | None

    @property
    def name(self) -> str:
        return self.raw_name.decode("utf-8", "surrogateescape")


def zip_members(file: BinaryIO, limits: Limits, progress: Callable[[], None]) -> Iterator[Member]:
    """The members of a zip archive, in the order in which they lie in the file.

    Args:
        file: The archive; seekable.
        limits: Against which the archive's own statements are held before anything is unpacked.
        progress: Called now and then.

    Raises:
        Refusal: The archive is damaged, cut off, ambiguous, encrypted, beyond the limits, or compressed in another way.
    """
    start, end, count = _directory(file)
    limits.check(count, 0)
    entries: list[_Entry] = []
    file.seek(start)
    while file.tell() < end:
        if len(entries) == count:
            raise Refusal(f"has more members than the {count} it states")
        entries.append(_entry(file))
        progress()
    if file.tell() != end or len(entries) != count:
        raise Refusal("is damaged: its central directory does not end where it should")
    limits.check(count, sum(entry.size for entry in entries))
    yield from _members(file, entries, start)


def _members(file: BinaryIO, entries: list[_Entry], end: int) -> Iterator[Member]:
    entries.sort(key=lambda entry: entry.offset)
    previous_end = 0
    for entry in entries:
        if entry.offset < previous_end:
            raise Refusal("overlaps another member", member=entry.name)
        data = _data_offset(file, entry)
        previous_end = data + entry.packed
        if previous_end > end:
            raise Refusal("reaches into the central directory, or is cut off", member=entry.name)
        yield _member(file, entry)


def _member(file: BinaryIO, entry: _Entry) -> Member:
    content = _content(file, entry)
    kind = _kind(entry)
    if kind is DIRECTORY:
        return Member(entry.name, DIRECTORY, entry.mode & 0o7777 or 0o755)
    if kind is SYMLINK:
        if entry.size > MAX_PATH:
            raise Refusal(f"is a symlink with a target of more than {MAX_PATH} bytes", member=entry.name)
        try:
            target = b"".join(content).decode("utf-8", "surrogateescape")
        except Refusal as refusal:
            refusal.member = entry.name
            raise
        return Member(entry.name, SYMLINK, target=target)
    return Member(entry.name, kind, entry.mode & 0o7777 or 0o644, entry.size, modified=entry.modified, content=content)


def _kind(entry: _Entry) -> str:
    if entry.raw_name.endswith(b"/"):
        return DIRECTORY
    kinds = {0: FILE, stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK}
    return kinds.get(stat.S_IFMT(entry.mode), "a device, named pipe or socket")


# ------------------------------------------------------------------------------------------------------------- directory


def _directory(file: BinaryIO) -> tuple[int, int, int]:
    """Where the central directory starts and ends, and how many members it has."""
    size = file.seek(0, 2)
    tail_start = max(0, size - _END.size - _LONGEST_COMMENT)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    position = tail.rfind(_END_SIGNATURE)
    if position < 0 or len(tail) - position < _END.size:
        raise Refusal("is cut off: it has no central directory at its end")
    _, disk, first_disk, _, count, length, start, comment = _END.unpack_from(tail, position)
    if position + _END.size + comment != len(tail):
        raise Refusal("is cut off in its comment, or has something after its end")
    end = tail_start + position
    if _IN_ZIP64 in (length, start) or count == 0xFFFF:
        disk, first_disk, count, length, start, end = _directory64(file, end)
    if disk or first_disk:
        raise Refusal("is one part of an archive in several files")
    if start + length != end:
        raise Refusal("is damaged, or has something before its beginning: its central directory is not where it states")
    return start, end, count


def _directory64(file: BinaryIO, end: int) -> tuple[int, int, int, int, int, int]:
    """The same in the larger form: disk, first disk, count, length, start, and where the record itself begins."""
    position = _unpack(file, end - _LOCATOR64.size, _LOCATOR64, b"PK\x06\x07")[2]
    _, _, _, _, disk, first_disk, _, count, length, start = _unpack(file, position, _END64, b"PK\x06\x06")
    return disk, first_disk, count, length, start, position


def _unpack(file: BinaryIO, position: int, layout: struct.Struct, signature: bytes) -> tuple[int, ...]:
    """A record of the file; its first field, the signature, is checked."""
    if not 0 <= position < 1 << 63:
        raise Refusal("is damaged: it refers to a place that does not exist")
    file.seek(position)
    record = file.read(layout.size)
    if len(record) < layout.size or not record.startswith(signature):
        raise Refusal("is damaged, or cut off: a header is not where it should be")
    return layout.unpack(record)


def _entry(file: BinaryIO) -> _Entry:
    """The next entry of the central directory."""
    fields = _unpack(file, file.tell(), _CENTRAL, b"PK\x01\x02")
    flags, method, crc, packed, size = fields[3], fields[4], *fields[7:10]
    name_length, extra_length, comment_length, disk, _, attributes, offset = fields[10:]
    if name_length > MAX_PATH:
        raise Refusal(f"has a member with a path of more than {MAX_PATH} bytes")
    raw_name, extra = file.read(name_length), file.read(extra_length)
    file.seek(comment_length, 1)
    name = raw_name.decode("utf-8", "surrogateescape")
    if flags & (_ENCRYPTED | _PATCH):
        raise Refusal("is encrypted" if flags & _ENCRYPTED else "is a patch, not a file", member=name)
    if method not in (_STORED, _DEFLATED):
        how = _METHODS.get(method, f"method {method}")
        raise Refusal(f"is compressed with {how}, which dewy does not read", "Make the archive with deflate", member=name)
    if disk:
        raise Refusal("lies in another file of a split archive", member=name)
    sizes, modified = _extras(extra, [size, packed, offset], name)
    size, packed, offset = sizes
    return _Entry(raw_name, flags, method, crc, packed, size, attributes >> 16, offset, modified)


def _extras(extra: bytes, sizes: list[int], member: str) -> tuple[list[int], int | None]:
    """The sizes, those that need 64 bits taken from the extra fields, and the time of change, if stated there."""
    modified = None
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _ZIP64:
            large = (int.from_bytes(field[i : i + 8], "little") for i in range(0, len(field) - 7, 8))
            sizes = [next(large, -1) if size == _IN_ZIP64 else size for size in sizes]
        elif kind == _TIMES and len(field) >= 5 and field[0] & 1:
            modified = int.from_bytes(field[1:5], "little", signed=True)
    if _IN_ZIP64 in sizes or -1 in sizes:
        raise Refusal("has no size in its extra fields, where it refers to them", member=member)
    return sizes, modified


# --------------------------------------------------------------------------------------------------------------- content


def _data_offset(file: BinaryIO, entry: _Entry) -> int:
    """Where a member's content begins, and the file there; its own header must say what the directory says."""
    try:
        fields = _unpack(file, entry.offset, _LOCAL, b"PK\x03\x04")
    except Refusal as refusal:
        refusal.member = entry.name
        raise
    flags, method, crc, packed, size, name_length, extra_length = *fields[2:4], *fields[6:]
    stated = (entry.crc, entry.packed, entry.size)
    if not flags & _SIZES_FOLLOW and _IN_ZIP64 not in (packed, size) and (crc, packed, size) != stated:
        raise Refusal("has two headers that do not agree on its size or checksum", member=entry.name)
    if method != entry.method or (flags ^ entry.flags) & _ENCRYPTED:
        raise Refusal("has two headers that do not agree on how it is packed", member=entry.name)
    if file.read(name_length) != entry.raw_name:
        raise Refusal("has two headers that do not agree on its name", member=entry.name)
    return file.seek(extra_length, 1)


def _content(file: BinaryIO, entry: _Entry) -> Iterator[bytes]:
    """A member's content, from where the file stands; its size and checksum must be as stated."""
    pieces = _packed(file, entry.packed)
    size = crc = 0
    for piece in pieces if entry.method == _STORED else inflated(pieces):
        size += len(piece)
        if size > entry.size:
            break
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != entry.size:
        raise Refusal(f"does not have the {entry.size} bytes that are stated of it")
    if crc != entry.crc:
        raise Refusal("is damaged: its checksum does not match")


def _packed(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = file.read(min(size, _PIECE))
        if not piece:
            raise Refusal("is cut off: the archive ends inside it")
        size -= len(piece)
        yield piece
