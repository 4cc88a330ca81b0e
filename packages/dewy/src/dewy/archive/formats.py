"""Which formats dewy unpacks (R34): by name, and what bytes look like. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["BLOCK", "EXECUTABLES", "archive_format", "base_name", "describe", "is_tar_header", "looks_like"]

BLOCK: Final = 512
"""Bytes of a tar block; also how much of a file's beginning tells what it is."""

_ENDINGS = {
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tbz": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".tar.zst": "tar.zst",
    ".tzst": "tar.zst",
    ".tar": "tar",
    ".zip": "zip",
    ".gz": "gz",
    ".bz2": "bz2",
    ".xz": "xz",
    ".zst": "zst",
}

_SIGNATURES = (
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    *((bytes((low, 0x2A, 0x4D, 0x18)), "zst") for low in range(0x50, 0x60)),  # a skippable frame may come first
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "mach-o"),
    (b"\xfe\xed\xfa\xcf", "mach-o"),
    (b"\xce\xfa\xed\xfe", "mach-o"),
    (b"\xcf\xfa\xed\xfe", "mach-o"),
    (b"#!", "script"),
    (b"MZ", "exe"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"!<arch>\n", "ar"),
    (b"\xed\xab\xee\xdb", "rpm"),
    (b"%PDF", "pdf"),
)

_WORDS = {
    "tar": "a tar archive",
    "zip": "a zip archive",
    "gz": "gzip data",
    "bz2": "bzip2 data",
    "xz": "xz data",
    "zst": "zstd data",
    "elf": "an ELF program",
    "mach-o": "a Mach-O program",
    "script": "a script",
    "exe": "a Windows program",
    "7z": "a 7z archive",
    "rar": "a RAR archive",
    "ar": "a Debian package or another ar archive",
    "rpm": "an RPM package",
    "pdf": "a PDF document",
    "html": "an HTML page",
    "xml": "an XML document",
    "json": "a JSON document",
    "text": "plain text",
    "empty": "an empty file",
    "unknown": "data of no kind that dewy knows",
}

EXECUTABLES: Final = frozenset({"elf", "mach-o", "script"})
"""What a bare executable may look like."""

_FAT_MACH_O = b"\xca\xfe\xba\xbe"
_MOST_FAT_ARCHITECTURES = 40  # Java's class files have the same signature, and a version of 45 or more in its place
_OLD_TAR_CHECKSUM = slice(148, 156)


def archive_format(name: str) -> str | None:
    """The format that a file's name promises; None for no archive (R34).

    Returns:
        ``tar``, ``tar.gz``, ``tar.bz2``, ``tar.xz``, ``tar.zst``, ``zip``, or for a single file that is only compressed
        ``gz``, ``bz2``, ``xz``, ``zst``. Letter case does not matter.
    """
    return next((kind for ending, kind in _ENDINGS.items() if name.lower().endswith(ending)), None)


def base_name(name: str) -> str:
    """A file's name without the ending that says its format."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name.removesuffix(name[len(name) - len(ending) :]) if ending else name


def looks_like(head: bytes) -> str:
    """What a file with this beginning (:data:`BLOCK` bytes of it) is: a key of :func:`describe`."""
    if not head:
        return "empty"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(_FAT_MACH_O) and int.from_bytes(head[4:8], "big") < _MOST_FAT_ARCHITECTURES:
        return "mach-o"
    if is_tar_header(head):
        return "tar"
    return _looks_like_text(head)


def describe(kind: str) -> str:
    """Words for what :func:`looks_like` says."""
    return _WORDS[kind]


def is_tar_header(block: bytes) -> bool:
    """Whether a block is a member's header in a tar archive, or the zeros that end one (POSIX.1-1988, "ustar")."""
    if len(block) < BLOCK:
        return False
    if not any(block):
        return True
    try:
        stated = int(block[_OLD_TAR_CHECKSUM].strip(b" \0"), 8)
    except ValueError:
        return False
    return stated == sum(block) - sum(block[_OLD_TAR_CHECKSUM]) + 8 * ord(" ")


def _looks_like_text(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    if start.startswith(b"<"):
        return "xml"
    if start.startswith((b"{", b"[")):
        return "json"
    return "text" if all(byte >= ord(" ") or byte in b"\t\r\n\f" for byte in head) else "unknown"
