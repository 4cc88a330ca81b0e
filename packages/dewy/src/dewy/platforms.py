"""Which of a version's files fits this host (R27). Pure.

From words and their meanings, never from projects' names, in five steps:

1. **Describe** each file by its name: format, system, architecture, libc, and the words that are left.
2. **Set aside** what is no artifact: checksums, signatures, documents, packages, sources, …
3. **Keep** what fits the platform. What a name leaves out has a default, which the other names may rule out.
4. **Plainest**: the file whose words all others have too, ``tool`` before ``tool-debug`` and ``tool-gen-lint``. Where no
   file is plainer than all others, they are rivals.
5. **Best** of the plainest: the nearest architecture, then libc, then format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dewy.platform_names import BARE, NamedFile, Program, Words, read_name
from dewy.platform_words import BESIDE, FORMATS, NEVER_BUILT
from dewy.types import Platform

__all__ = ["best_fits"]

_LIBCS = ("gnu", "", "musl", "musleabi", "gnueabi")
"""The preferred first. Most builds for musl are static and run everywhere, but the one for glibc fits a host better.
A soft-float program runs on a hard-float host if it is static."""

_ARMS = {"armv7": 7, "armv6": 6, "arm": 6, "armv5": 5}
"""The oldest ARM that a build needs; a plain ``arm`` is v6 as a rule."""

_HINTED, _ANY, _DEFAULT = 10, 20, 30
"""How far an architecture is that a name only hints at, that it leaves open, that it leaves out."""

_MOST_RIVALS = 16

_ZIP = FORMATS.index(".zip")

_Rank = tuple[int, ...]
"""How well something fits: the smaller, the better."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """What all files of a version say together: it settles what a single name leaves out.

    Attributes:
        states_platform: Whether any file says for which platform it is.
        systems: Those that are said.
        mac_archs: The architectures said in names for macOS, packages aside.
        package_systems: By the stem of a package's name, the systems such packages are for.
        bare_builds: By words, what bare executables of those words are for: system (or empty) and architecture.
    """

    states_platform: bool
    systems: frozenset[str]
    mac_archs: frozenset[str]
    package_systems: Mapping[str, frozenset[str]]
    bare_builds: Mapping[Words, frozenset[tuple[str, str]]]

    @classmethod
    def of(cls, files: Sequence[NamedFile]) -> _Listing:
        packages: dict[str, set[str]] = {}
        bare: dict[Words, set[tuple[str, str]]] = {}
        for file in files:
            if file.format is None and file.os:
                packages.setdefault(file.stem, set()).add(file.os)
            if file.format == BARE:
                bare.setdefault(file.words, set()).update((file.os, arch) for arch in file.archs)
        return cls(
            states_platform=any(file.states_platform for file in files),
            systems=frozenset(file.os for file in files),
            mac_archs=frozenset(
                arch for file in files if file.format is not None and file.os == "darwin" for arch in file.archs
            ),
            package_systems={stem: frozenset(systems) for stem, systems in packages.items()},
            bare_builds={words: frozenset(builds) for words, builds in bare.items()},
        )


def best_fits(names: Iterable[str], platform: Platform) -> tuple[str, ...]:
    """The file that fits a platform.

    Args:
        names: All of a version's files, in any order: the answer does not depend on it.
        platform: The host's.

    Returns:
        One name; none when nothing fits; several, sorted, when they fit equally well and are not the same thing.
    """
    files = [file for name in sorted(set(names)) if (file := read_name(name))]
    listing = _Listing.of(files)
    fitting = [(file, rank) for file in _artifacts(files) if (rank := _fit(file, listing, platform)) is not None]
    plainest = _plainest({file.program for file, _ in fitting})
    return tuple(sorted(_best([(file, rank) for file, rank in fitting if file.program == program]) for program in plainest))


# ------------------------------------------------------------------------------------------- 2. what may be an artifact


def _artifacts(files: Sequence[NamedFile]) -> list[NamedFile]:
    """The files that may be the program, judged by their words; a word that all of them have is part of its name."""
    candidates = [file for file in files if file.format is not None]
    built = [file for file in candidates if file.states_platform]
    shared = set.intersection(*(set(file.words) for file in built or candidates)) if candidates else set()
    libraries = {f"lib{word}" for file in candidates for word in file.words}
    telling = (BESIDE | libraries) - (shared if built else shared - NEVER_BUILT)
    return [file for file in candidates if telling.isdisjoint(file.words)]


# --------------------------------------------------------------------------------------------- 3. what fits the platform


def _fit(file: NamedFile, listing: _Listing, platform: Platform) -> _Rank | None:
    """How well a file fits the platform; None if it does not, or is not known to."""
    if file.libc not in _LIBCS:
        return None
    if not listing.states_platform:
        return (0,)
    system = _system(file, listing)
    arch = _architecture(file, _default_archs(system, listing), platform) if system == platform.os else None
    return None if arch is None else (arch, _LIBCS.index(file.libc))


def _system(file: NamedFile, listing: _Listing) -> str:
    """The system a file is for; empty when its name and the others' do not tell.

    A name without one is for the system of a package with the same name, else for Linux, unless others say "linux". A
    ``.zip`` among files for Windows may as well be for Windows.
    """
    if file.os:
        return file.os
    packaged = listing.package_systems.get(file.stem, frozenset()) - {"windows"}
    if len(packaged) == 1:
        return next(iter(packaged))
    if "linux" in listing.systems or ("windows" in listing.systems and file.format == _ZIP):
        return ""
    return "linux" if file.archs or _is_unmarked_default(file, listing) else ""


def _is_unmarked_default(file: NamedFile, listing: _Listing) -> bool:
    """Whether it is ``tool`` beside ``tool-arm64``: a bare executable next to its builds for lesser architectures."""
    builds = listing.bare_builds.get(file.words, frozenset())
    return file.format == BARE and bool(builds) and all(not system and arch != "amd64" for system, arch in builds)


def _default_archs(system: str, listing: _Listing) -> frozenset[str]:
    """What a name for a system without an architecture is built for: amd64, but for macOS.

    There it is the one of the two that the other names do not say, and both when none says any.
    """
    return frozenset({"amd64", "arm64"}) - listing.mac_archs if system == "darwin" else frozenset({"amd64"})


def _architecture(file: NamedFile, default: frozenset[str], platform: Platform) -> int | None:
    """How near a file's architecture is to the platform's; None when it does not run there, or it is not known to."""
    near = _nearness(file.archs, platform)
    if near is not None:
        return near + _HINTED * file.hinted
    if "any" in file.archs:
        return _ANY
    return _DEFAULT if not file.archs and platform.arch in default else None


def _nearness(archs: frozenset[str], platform: Platform) -> int | None:
    """0 for the platform's own architecture, more for an older ARM that runs there too; None for no such."""
    if platform.arch != "arm":
        return 0 if platform.arch in archs else None
    host = _ARMS.get(f"arm{platform.variant}", _ARMS["arm"])
    return min(
        ((host - _ARMS[arch]) * 2 + (arch == "arm") for arch in archs if _ARMS.get(arch, host + 1) <= host), default=None
    )


# ---------------------------------------------------------------------------------------------------- 4. the plainest


def _plainest(programs: Iterable[Program]) -> list[Program]:
    """The programs to which no other is plainer: one, or rivals, of which a bounded number is enough."""
    found: list[Program] = []
    for program in sorted(programs, key=_size):  # whatever is plainer comes first in this order
        if not any(_is_plainer(plain, program) for plain in found):
            found.append(program)
            if len(found) == _MOST_RIVALS:
                break
    return found


def _size(program: Program) -> tuple[object, ...]:
    words, numbers = program
    return len(words), sum(map(len, words)), len(numbers), program


def _is_plainer(one: Program, other: Program) -> bool:
    """Whether ``other`` is ``one`` and something more, by its words; numbers only count where the words are the same."""
    if one[0] == other[0]:
        return not Counter(one[1]) - Counter(other[1])
    return _has_all(one[0], other[0])


def _has_all(words: Words, others: Words) -> bool:
    """Whether each of the words has a partner that is the same or begins with it: ``tool`` in ``toolctl-debug``."""
    missing, left = Counter(words) - Counter(others), Counter(others) - Counter(words)
    for word in sorted(missing.elements(), key=len, reverse=True):
        longer = [candidate for candidate in sorted(left) if left[candidate] and _begins(word, candidate)]
        if not longer:
            return False
        left[longer[0]] -= 1
    return True


def _begins(word: str, longer: str) -> bool:
    return len(word) > 1 and word[0].isalpha() and longer.startswith(word)


# -------------------------------------------------------------------------------------------------------- 5. the best


def _best(alike: Sequence[tuple[NamedFile, _Rank]]) -> str:
    """Among files of the same words, which say the same thing in other spellings and formats: one, always the same."""
    file, _ = min(alike, key=lambda fit: (fit[1], fit[0].format, len(fit[0].name), fit[0].name))
    return file.name
