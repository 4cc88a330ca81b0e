"""The members of a tar archive, read from a stream.

The standard library's tarfile is not used: it takes a damaged header for the archive's end, holds extended headers of any
size in memory, recurses through them, and remembers every member. Layout: POSIX.1-2008 ``pax``, and the GNU tar manual.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dewy.archive.formats import BLOCK, is_tar_header
from dewy.archive.members import DIRECTORY, FILE, HARDLINK, SYMLINK, Limits, Member, Refusal
from dewy.archive.streams import Stream

__all__ = ["stream_limit", "tar_members"]

_MAX_EXTENDED = 1 << 20
"""Bytes of one extended header. They hold names, times and attributes, some of which macOS writes at length."""

_MEMBER_OVERHEAD = 5 * BLOCK
"""Bytes that a member usually takes besides its content: a header, an extended one of two blocks, padding."""

_PADDING = 1 << 20
"""Bytes of zeros that may follow the last member; tar itself pads to 10 KiB."""

_ZEROS = bytes(1 << 16)
_END = bytes(BLOCK)

_OLD_FILE = b"\0"
_KINDS = {
    b"0": FILE,
    _OLD_FILE: FILE,
    b"7": FILE,  # "contiguous", a distinction that no file system makes
    b"5": DIRECTORY,
    b"2": SYMLINK,
    b"1": HARDLINK,
    b"3": "a device (character)",
    b"4": "a device (block)",
    b"6": "a named pipe (fifo)",
    b"S": "a sparse file in GNU tar's old form, which dewy does not read",
}
_PAX = (b"x", b"X")
_PAX_GLOBAL = b"g"
_GNU_LONG = {b"L": "path", b"K": "linkpath"}
_OF_ONE_MEMBER = frozenset({"path", "linkpath", "size"})


@dataclass(frozen=True, slots=True)
class _Header:
    """What dewy needs of a header block."""

    name: str
    mode: int
    size: int
    modified: int | None
    type: bytes
    target: str


def stream_limit(limits: Limits) -> int:
    """How many bytes a tar archive within these limits may have: files, headers and padding."""
    return limits.max_bytes + limits.max_members * _MEMBER_OVERHEAD + _PADDING


def tar_members(stream: Stream) -> Iterator[Member]:
    """The members of a tar archive, in its order; each one's content must be used up before the next.

    Read are the POSIX (pax), GNU and V7 forms, and sparse files as bsdtar and GNU tar's pax form write them.

    Raises:
        Refusal: The archive is damaged, cut off, or has something after its end.
    """
    stated: dict[str, str] = {}
    previous: str | None = None
    while (header := _header(stream, previous)) is not None:
        if header.type in _PAX or header.type in _GNU_LONG:
            _add(stated, _extension(stream, header, previous), previous)
        elif header.type == _PAX_GLOBAL:
            _check_global(_records(_extended(stream, header, previous), previous))
        else:
            member = _member(stream, header, stated)
            yield member
            previous, stated = member.name, {}
    if stated:
        raise _damaged("its last header belongs to no member", previous)
    for piece in stream.rest():
        if piece.strip(b"\0"):
            raise Refusal("has something after its end-of-archive mark")


def _damaged(why: str, previous: str | None) -> Refusal:
    """Damage between members: the one before it tells where."""
    return Refusal(f"is followed by damaged data: {why}" if previous else f"is damaged: {why}", member=previous)


def _header(stream: Stream, previous: str | None) -> _Header | None:
    """The next header; None at the end-of-archive mark."""
    block = stream.take(BLOCK)
    if len(block) < BLOCK:
        raise _damaged("the archive is cut off, without its end-of-archive mark", previous)
    if block == _END:
        return None
    mode, size, modified = _field(block[100:108]), _field(block[124:136]), _field(block[136:148])
    if not is_tar_header(block) or mode is None or size is None:
        raise _damaged("where a header should be there is none", previous)
    name, prefix = _string(block[:100]), _string(block[345:500])
    if prefix and block[257:263] == b"ustar\0":  # GNU's own form has other things there
        name = f"{prefix}/{name}"
    return _Header(name, mode, size, modified, block[156:157], _string(block[157:257]))


def _field(field: bytes) -> int | None:
    """A number: octal digits, or for large ones GNU's binary form. None when it is neither, or negative."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else None
    digits = field.partition(b"\0")[0].strip(b" ") or b"0"
    try:
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def _string(field: bytes) -> str:
    return _text(field.partition(b"\0")[0])


def _member(stream: Stream, header: _Header, stated: Mapping[str, str]) -> Member:
    name = stated.get("GNU.sparse.name", stated.get("path", header.name))
    kind = _KINDS.get(header.type, f"of the unknown kind {header.type!r}")
    if header.type == _OLD_FILE and name.endswith("/"):
        kind = DIRECTORY  # as V7 tar wrote them
    if kind is not FILE:
        return Member(name, kind, header.mode, target=stated.get("linkpath", header.target))
    stored = _number(stated.get("size", str(header.size)), name)
    if any(key.startswith("GNU.sparse.") for key in stated):
        if (stated.get("GNU.sparse.major"), stated.get("GNU.sparse.minor")) != ("1", "0"):
            raise Refusal("is a sparse file in an old form, which dewy does not read", member=name)
        size = _number(stated.get("GNU.sparse.realsize", ""), name)
        content = _sparse(stream, stored, size)
    else:
        size, content = stored, _padded(stream, stored)
    modified = _seconds(stated.get("mtime"), header.modified)
    return Member(name, FILE, header.mode, size, modified=modified, content=content)


def _padded(stream: Stream, size: int) -> Iterator[bytes]:
    yield from stream.pieces(size)
    stream.exactly(-size % BLOCK)


# ----------------------------------------------------------------------------------------------------- extended headers


def _extended(stream: Stream, header: _Header, previous: str | None) -> bytes:
    if header.size > _MAX_EXTENDED:
        raise _damaged(f"it is an extended header of {header.size} bytes, more than the {_MAX_EXTENDED} allowed", previous)
    return b"".join(_padded(stream, header.size))


def _extension(stream: Stream, header: _Header, previous: str | None) -> dict[str, str]:
    """What an extended header says of the next member, by pax's keywords."""
    content = _extended(stream, header, previous)
    if header.type in _GNU_LONG:
        return {_GNU_LONG[header.type]: _string(content)}
    return _records(content, previous)


def _add(stated: dict[str, str], more: Mapping[str, str], previous: str | None) -> None:
    if twice := stated.keys() & more.keys():
        raise _damaged(f"it states {min(twice)} of one member twice", previous)
    stated.update(more)


def _check_global(records: Mapping[str, str]) -> None:
    """A header for all members that follow: git puts a comment there. What can be meant for one member only is refused."""
    if odd := sorted(key for key in records if key in _OF_ONE_MEMBER or key.startswith("GNU.sparse.")):
        raise Refusal(f"states {odd[0]} for all its members at once")


def _records(content: bytes, previous: str | None) -> dict[str, str]:
    """The records of a pax header: ``LENGTH KEY=VALUE`` and a newline each, where the length counts the whole record."""
    records = {}
    position = 0
    while position < len(content):
        digits = content[position : position + 20].partition(b" ")[0]
        end = position + int(digits) if digits.isdigit() else position
        record = content[position + len(digits) + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(content) or not equals or value[-1:] != b"\n":
            raise _damaged("its extended header cannot be read", previous)
        records[_text(key)] = _text(value[:-1])
        position = end
    return records


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _number(text: str, member: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Refusal("has a size that cannot be read", member=member)
    return int(text)


def _seconds(text: str | None, otherwise: int | None) -> int | None:
    """A time as pax states it, with a fraction say; what is no time counts as not stated."""
    whole = (text or "").partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 20 else otherwise


# ---------------------------------------------------------------------------------------------------------- sparse files


def _sparse(stream: Stream, stored: int, size: int) -> Iterator[bytes]:
    """The content of a sparse file, its holes as zeros; GNU's form 1.0, where a map of the data comes before it."""
    mapped = _SparseMap(stream, stored)
    position = 0
    for offset, length in mapped.segments():
        if offset < position or offset + length > size:
            raise Refusal("has a sparse map that cannot be right")
        yield from _hole(offset - position)
        yield from stream.pieces(length)
        position = offset + length
    yield from _hole(size - position)
    if mapped.bytes + mapped.data != stored:
        raise Refusal("has a sparse map that does not fit its size")
    stream.exactly(-stored % BLOCK)


def _hole(size: int) -> Iterator[bytes]:
    while size:
        piece = _ZEROS[:size]
        size -= len(piece)
        yield piece


class _SparseMap:
    """The map at the start of a sparse file's data: decimal numbers, one a line, padded with zeros to whole blocks.

    Attributes:
        bytes: What the map itself takes.
        data: What the segments take.
    """

    def __init__(self, stream: Stream, stored: int) -> None:
        self._stream, self._stored = stream, stored
        self._text = b""
        self.bytes = self.data = 0

    def segments(self) -> list[tuple[int, int]]:
        """Offset and length of each piece of data. The map is read as a whole, the data follows it."""
        segments = []
        for _ in range(self._next()):
            offset, length = self._next(), self._next()
            segments.append((offset, length))
            self.data += length
        return segments

    def _next(self) -> int:
        while (line := self._text.partition(b"\n"))[1] == b"":
            if self.bytes + BLOCK > min(self._stored, _MAX_EXTENDED):
                raise Refusal("has a sparse map that cannot be read")
            self._text += self._stream.exactly(BLOCK)
            self.bytes += BLOCK
        self._text = line[2]
        if not (line[0].isdigit() and len(line[0]) < 20):
            raise Refusal("has a sparse map that cannot be read")
        return int(line[0])
