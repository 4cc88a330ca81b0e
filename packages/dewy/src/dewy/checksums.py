"""Checksum files beside an artifact (R33): which of a version's files they are, and what they state. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dewy.types import ListedFile

__all__ = ["LARGEST", "checksum_files", "parse_checksums"]

LARGEST = 1 << 20
"""Bytes that a checksum file may have: a line for each of some thousand files."""

_OWN = re.compile(r"\.(?:sha256|sha512)(?:sums?)?(?:\.txt)?\Z", re.IGNORECASE)
"""What follows the artifact's name in the name of a file that is about it alone."""

_COMMON = re.compile(r"(?:.*[._-])?(?:checksums?|sha(?:256|512)sums?)(?:\.(?:txt|sha256|sha512))?\Z", re.IGNORECASE)
"""The name of a file about all files: ``checksums.txt``, ``SHA256SUMS``, ``myapp_1.4.0_checksums.txt``, …"""

_LINE = re.compile(r"(?P<hex>[0-9a-f]{64}|[0-9a-f]{128})(?:[ \t]+[*]?(?P<name>\S.*))?\Z", re.IGNORECASE)
_BSD_LINE = re.compile(r"SHA(?:2-)?(?:256|512) ?\((?P<name>.+)\) ?= ?(?P<hex>[0-9a-f]{64}|[0-9a-f]{128})\Z", re.IGNORECASE)
_ALGORITHMS = {64: "sha256", 128: "sha512"}


def checksum_files(artifact: str, files: Iterable[ListedFile]) -> tuple[ListedFile, ...]:
    """Those of a version's files that may state what the artifact's bytes are, in the order of their names."""
    listed = sorted(files, key=lambda file: file.name)
    names = {file.name for file in listed}
    return tuple(file for file in listed if _is_own(file.name, artifact) or _is_common(file.name, names))


def parse_checksums(content: bytes, name: str, artifact: str) -> tuple[str, ...]:
    """What a checksum file states of an artifact, each ``ALGORITHM:HEX``: SHA-256 and SHA-512.

    Lines have the form of sha256sum (``HEX  NAME``) or of BSD (``SHA256 (NAME) = HEX``); in a file that is about the
    artifact alone, a digest without a name counts too. Names may have a folder before them. Everything else, of which a
    file that somebody has published may be full, is passed over.

    Args:
        content: The file's bytes.
        name: The file's name.
        artifact: The artifact's name.
    """
    own, stated = _is_own(name, artifact), []
    for raw in content[:LARGEST].decode("utf-8", "replace").splitlines():
        line = raw.strip()
        match = _BSD_LINE.match(line) or _LINE.match(line)
        if match and _is_about(match["name"], artifact, own=own):
            stated.append(f"{_ALGORITHMS[len(match['hex'])]}:{match['hex'].lower()}")
    return tuple(dict.fromkeys(stated))


def _is_own(name: str, artifact: str) -> bool:
    return name.startswith(artifact) and _OWN.fullmatch(name[len(artifact) :]) is not None


def _is_common(name: str, names: set[str]) -> bool:
    """Whether it is about all files, and not about another one alone: ``other.zip.sha256`` beside ``other.zip``."""
    about_another = (match := _OWN.search(name)) is not None and name[: match.start()] in names
    return _COMMON.fullmatch(name) is not None and not about_another


def _is_about(name: str | None, artifact: str, *, own: bool) -> bool:
    if not name:
        return own
    return name.replace("\\", "/").rpartition("/")[2] == artifact
