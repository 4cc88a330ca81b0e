"""Archives for tests, good and hostile, and the sandbox in which they are unpacked."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from dewy.archive import Limits, Unpacked, unpack
from dewy.errors import ArchiveError

BLOCK = 512
USUAL = Limits()
PLAIN_TARS = ("tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst")
FORMATS = (*PLAIN_TARS, "zip")
EXECUTABLE = b"#!/bin/sh\necho hello\n"

_TAR_TYPES = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
}
_UNIX_TYPES = {
    "file": stat.S_IFREG,
    "directory": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "character device": stat.S_IFCHR,
    "block device": stat.S_IFBLK,
    "socket": stat.S_IFSOCK,
}


@dataclass(frozen=True)
class Entry:
    """One member to put into an archive of any format."""

    name: str
    content: bytes = b""
    kind: str = "file"
    mode: int = 0o644
    target: str = ""
    mtime: int = 1_700_000_000
    pax: Mapping[str, str] = field(default_factory=dict)


def build(form: str, entries: Sequence[Entry]) -> bytes:
    """An archive of one of the FORMATS."""
    return zipped(entries) if form == "zip" else packed(tarred(entries), form)


# ------------------------------------------------------------------------------------------------------------------- tar


def header(entry: Entry, form: int = tarfile.PAX_FORMAT, size: int | None = None) -> bytes:
    """The header blocks of one member, extended ones included."""
    info = tarfile.TarInfo(entry.name)
    info.type, info.mode, info.mtime, info.linkname = _TAR_TYPES[entry.kind], entry.mode, entry.mtime, entry.target
    info.size = len(entry.content) if size is None else size
    info.uid = info.gid = 12345
    info.pax_headers = dict(entry.pax)
    return info.tobuf(form, "utf-8", "surrogateescape")


def tarred(entries: Sequence[Entry], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive."""
    return b"".join(header(entry, form) + padded(entry.content) for entry in entries) + bytes(2 * BLOCK)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def block(name: bytes, type_: bytes, size: int = 0, size_field: bytes | None = None, target: bytes = b"") -> bytes:
    """A raw header block: what no tool writes can be written with it."""
    raw = bytearray(BLOCK)
    raw[: len(name)] = name
    raw[100:108] = b"0000644\0"
    raw[124:136] = size_field or b"%011o\0" % size
    raw[136:148] = b"00000000000\0"
    raw[156:157] = type_
    raw[157 : 157 + len(target)] = target
    raw[257:265] = b"ustar\x0000"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def packed(data: bytes, form: str) -> bytes:
    """Bytes compressed as a format's last part says; as they are for ``tar``."""
    compress: Callable[[bytes], bytes] = {
        "gz": lambda data: gzip.compress(data, 6, mtime=0),
        "bz2": bz2.compress,
        "xz": lambda data: lzma.compress(data, preset=1),
        "zst": zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress,
    }.get(form.rpartition(".")[2], bytes)
    return compress(data)


# ------------------------------------------------------------------------------------------------------------------- zip


def zipped(entries: Sequence[Entry], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive as a Unix tool makes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name + ("/" if entry.kind == "directory" else ""))
            info.filename = info.orig_filename  # zipfile would make some names harmless
            info.create_system = 3
            info.external_attr = (_UNIX_TYPES[entry.kind] | entry.mode) << 16
            info.compress_type = compression
            info.extra = struct.pack("<HHBi", 0x5455, 5, 1, entry.mtime)
            with warnings.catch_warnings(action="ignore"):  # of duplicate names
                archive.writestr(info, entry.target.encode() if entry.kind == "symlink" else entry.content)
    return buffer.getvalue()


def patched(data: bytes, *changes: tuple[bytes, int, bytes]) -> bytes:
    """Data changed at an offset from the last occurrence of a mark, for each change (mark, offset, new bytes)."""
    result = bytearray(data)
    for mark, offset, new in changes:
        position = result.rindex(mark) + offset
        result[position : position + len(new)] = new
    return bytes(result)


# --------------------------------------------------------------------------------------------------------------- sandbox


class Sandbox:
    """A place to unpack in, with things around it that must not change.

    Attributes:
        into: Where archives are unpacked; its parent is ``releases`` of an application.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.releases = root / "app" / "releases"
        self.into = self.releases / "new"
        for path in (self.releases / "old" / "lib", root / "outside" / "etc", root / "downloads"):
            path.mkdir(parents=True)
        for name in ("app/config", "app/releases/old/app", "app/releases/old/lib/code", "outside/etc/passwd", "outside/x"):
            (root / name).write_text(f"canary {name}")
        (root / "app" / "current").symlink_to("releases/old")

    def unpack(self, data: bytes, name: str, limits: Limits = USUAL, into: Path | None = None) -> Unpacked:
        """Unpacks bytes as an artifact of that name."""
        source = self.root / "downloads" / "artifact"
        source.write_bytes(data)
        return unpack(source, name, into or self.into, limits)

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """Fails when anything but ``into`` changes in the block, or a descriptor stays open."""
        before, descriptors = self._around(), _descriptors()
        yield
        assert self._around() == before, "something outside the release directory was touched"
        assert _descriptors() == descriptors, "descriptors are left open"

    def refuses(self, data: bytes, name: str, *expected: str, limits: Limits = USUAL) -> str:
        """Checks that an artifact is refused without a trace, in words that name it and all that is expected."""
        with self.untouched():
            try:
                unpacked = self.unpack(data, name, limits)
            except ArchiveError as error:
                message = str(error)
            else:
                raise AssertionError(f"{name} was unpacked: {unpacked}, {sorted(listing(self.into))}")
            assert not self.into.exists(), "a partial directory stays"
        for words in (name, *expected):
            assert words in message, message
        assert message.isprintable(), message
        return message

    def _around(self) -> dict[str, object]:
        keep = ("downloads", "app/releases/new")
        return {path: facts for path, facts in listing(self.root).items() if not path.startswith(keep)}


def listing(directory: Path) -> dict[str, object]:
    """Everything below a directory: kind, permissions, and content, target or nothing."""
    result: dict[str, object] = {}
    for folder, directories, files in os.walk(directory):
        for name in (*directories, *files):
            path = Path(folder, name)
            status = path.lstat()
            about: object = None
            if path.is_symlink():
                about = str(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                about = (path.read_bytes(), status.st_mtime_ns, status.st_nlink)
            result[str(path.relative_to(directory))] = (oct(status.st_mode), about)
    return result


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0
