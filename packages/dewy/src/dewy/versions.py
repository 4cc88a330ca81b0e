"""Versions as tags spell them, in Semantic Versioning 2.0.0's order made total (R25). Pure.

Precedence leaves some tags equal: ``v1.0.0`` and ``1.0.0``, or those that differ in build metadata. dewy must give the
same answer whatever order a store lists them in, so these, too, are put in an order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Any, Protocol

import semver

__all__ = ["AnyVersion", "Version", "parse_version", "same_tag"]

_LONGEST_TAG = 255
"""A tag is also a folder's name; this also keeps its numbers below what int() is willing to read."""

_TAG = re.compile(r"v?(?P<version>[0-9][0-9A-Za-z.+-]*)", re.ASCII)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)


class AnyVersion(Protocol):
    """What choosing needs of a version, semantic or by the calendar. Those of one kind are in a total order."""

    @property
    def tag(self) -> str:
        """As the store spells it."""

    @property
    def is_prerelease(self) -> bool:
        """Whether it comes before a release."""

    @property
    def build(self) -> str:
        """The build metadata, without its plus sign; empty when there is none."""

    def __lt__(self, other: Any, /) -> bool: ...


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version. Greater is newer; two are equal only if their tags are.

    Attributes:
        tag: As the store spells it, with or without a leading ``v``.
        semver: What the tag says.
    """

    tag: str
    semver: semver.Version

    @property
    def is_prerelease(self) -> bool:
        """Whether it comes before a release, as ``1.0.0-rc.1`` does."""
        return self.semver.prerelease is not None

    @property
    def build(self) -> str:
        """The build metadata, without its plus sign; empty when there is none."""
        return self.semver.build or ""

    def __str__(self) -> str:
        return self.tag

    def __eq__(self, other: object) -> bool:
        return self.tag == other.tag if isinstance(other, Version) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.tag)

    def __lt__(self, other: Version) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        precedence = self.semver.compare(other.semver)
        return precedence < 0 if precedence else self._tie_break() < other._tie_break()

    def _tie_break(self) -> tuple[tuple[tuple[bool, int, str], ...], str]:
        """The order among tags of equal precedence: by build metadata, its numbers as numbers, then by spelling."""
        identifiers = self.build.split(".") if self.build else []
        return tuple(map(_identifier, identifiers)), self.tag


def _identifier(text: str) -> tuple[bool, int, str]:
    """Sorts as SemVer does pre-release identifiers: numbers by value, and before words."""
    return (False, int(text), "") if _DIGITS.fullmatch(text) else (True, 0, text)


def parse_version(tag: str) -> Version | None:
    """Reads a tag; None for what is no semantic version. Never raises, whatever a store says.

    White space, digits of other scripts, and tags of more than 255 characters are no versions, nor is ``V1.0.0``.
    """
    match = _TAG.fullmatch(tag) if len(tag) <= _LONGEST_TAG else None
    if match is None:
        return None
    try:
        return Version(tag, semver.Version.parse(match["version"]))
    except ValueError:
        return None


def same_tag(tag: str, asked: str) -> bool:
    """Whether a person who writes ``asked`` means ``tag``: a leading ``v`` makes no difference."""
    return tag.removeprefix("v") == asked.removeprefix("v")
