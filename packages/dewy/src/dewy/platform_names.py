"""What the name of a release's file says: its format, and the platform it is for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dewy.platform_words import AFTER_SYSTEM, BARE_SUFFIXES, FORMATS, PACKAGES, VENDORS, facts, is_platform

__all__ = ["BARE", "NamedFile", "Program", "Words", "read_name"]

BARE = FORMATS.index("")
"""The place of the bare executable in FORMATS."""

Words = tuple[str, ...]
Program = tuple[Words, Words]
"""Words, and versions and numbers, each sorted."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """What a file's name says.

    Attributes:
        name: As it is listed.
        stem: In lower case without the format.
        format: Its place in FORMATS; None for a package.
        os: In Go's names; empty when it does not say.
        archs: Those it says, in Go's names, ARM with its version, or ``any``; empty when it does not say.
        hinted: Whether it only hints at ``archs``, as ``linux64`` does.
        libc: ``gnu``, ``musl``, ``gnueabi``, ``musleabi`` (soft float), ``other``, or empty when it does not say.
        words: What is left, sorted.
        numbers: Versions and numbers among what is left, sorted.
    """

    name: str
    stem: str
    format: int | None
    os: str
    archs: frozenset[str]
    hinted: bool
    libc: str
    words: Words
    numbers: Words

    @property
    def program(self) -> Program:
        """What it is, as far as the name tells: files of one program differ in platform, spelling and format only."""
        return self.words, self.numbers

    @property
    def states_platform(self) -> bool:
        """Whether it says for which system or architecture it is."""
        return bool(self.os) or bool(self.archs - {"any"})


def read_name(name: str) -> NamedFile | None:
    """Reads a name; None for what is neither an artifact nor a package, by its ending."""
    parts = _split_format(name.lower())
    if parts is None:
        return None
    stem, form, implied = parts
    read = _Reading(implied)
    for kind, value in facts(stem):
        read.take(kind, value)
    return read.result(name, stem, form)


class _Reading:
    """Collects what the words of one name say.

    Args:
        implied: The system that the ending implies, or empty.
    """

    def __init__(self, implied: str) -> None:
        self._implied = implied
        self._systems: list[str] = []
        self._perhaps: list[str] = []
        self._stated: list[str] = []
        self._hints: list[str] = []
        self._perhaps_any: list[str] = []
        self._words: list[str] = []
        self._libc = ""
        self._after_system = False

    def take(self, kind: str, value: str) -> None:
        """Takes the next fact of :func:`facts`."""
        if kind == "word" and self._after_system and value in AFTER_SYSTEM:
            kind, value = "hint", AFTER_SYSTEM[value]
        self._after_system = kind in ("os", "perhaps os")
        match kind:
            case "os":
                self._systems.append(value)
            case "perhaps os":
                self._perhaps.append(value)
            case "arch":
                self._stated.append(value)
            case "hint":
                self._hints.append(value)
            case "perhaps any":
                self._perhaps_any.append(value)
            case "libc":
                self._libc = value
            case "soft float":
                self._libc = self._libc or value
            case _ if value not in VENDORS:
                self._words.append(value)

    def result(self, name: str, stem: str, form: int | None) -> NamedFile:
        """What was read, together."""
        if self._systems and not self._stated and not self._hints and self._perhaps_any:
            self._hints = ["any"]  # "darwin_all", but not "linux_amd64_all-in-one"
        else:
            self._words += self._perhaps_any
        words = sorted(self._words)
        return NamedFile(
            name=name,
            stem=stem,
            format=form,
            os=self._system(),
            archs=self._architectures(),
            hinted=not self._stated,
            libc=self._libc,
            words=tuple(word for word in words if not _NUMBER.fullmatch(word)),
            numbers=tuple(word for word in words if _NUMBER.fullmatch(word)),
        )

    def _system(self) -> str:
        """The last one counts: ``wasm-tools-linux`` is for Linux. An ``.exe`` is for Windows, whatever else it says."""
        if self._implied == "windows":
            return "windows"
        if self._systems:
            return self._systems[-1]
        if self._stated or self._hints:
            return self._perhaps[-1] if self._perhaps else "linux" if self._libc else self._implied
        return self._implied

    def _architectures(self) -> frozenset[str]:
        """Those stated, else those hinted at: the last one, but a name for macOS means several of them at once."""
        found = self._stated or self._hints
        if self._system() == "darwin":
            return frozenset(_ON_MAC.get(arch, arch) for arch in found)
        if found[-1:] == ["arm"] and "amd64" in self._hints:  # "arm" and "64-bit"
            return frozenset({"arm64"})
        return frozenset("386" if arch == "x86" else arch for arch in found[-1:])


_ON_MAC = {"x86": "amd64", "arm": "arm64"}
"""macOS has no 32-bit architectures: these words mean the 64-bit ones there."""

_NUMBER = re.compile(r"v?[0-9][0-9.]*")


def _split_format(name: str) -> tuple[str, int | None, str] | None:
    """A lower-case name as stem, place in FORMATS, and the system its ending implies; None for other kinds of files."""
    for place, suffix in enumerate(FORMATS):
        if suffix and name.endswith(suffix):
            return _inside(name.removesuffix(suffix), place)
    stem, dot, ending = name.rpartition(".")
    if not dot or not re.fullmatch(r"[a-z][a-z0-9]*|7z", ending) or is_platform(ending):
        return name, BARE, ""
    if ending in PACKAGES:
        return stem, None, PACKAGES[ending]
    return (stem, BARE, "") if ending in BARE_SUFFIXES else None


def _inside(stem: str, place: int) -> tuple[str, int | None, str] | None:
    """What an archive or a compressed file holds, by the ending before the last."""
    inner, dot, ending = stem.rpartition(".")
    if dot and ending == "exe":
        return inner, place, "windows"
    if dot and ending in PACKAGES and (ending != "app" or _states_architecture(inner)):
        return inner, None, PACKAGES[ending]
    if place < BARE:
        return stem, place, ""
    held = _split_format(stem)
    return (held[0], place, held[2]) if held and held[1] == BARE else None


def _states_architecture(stem: str) -> bool:
    """Tells the macOS bundle ``Tool_aarch64.app.tar.gz`` from the site ``example.app.tar.gz``."""
    return any(kind in ("arch", "hint") for kind, _ in facts(stem))
