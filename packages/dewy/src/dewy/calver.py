"""Calendar versions: ``--calver FORMAT``, with the tokens of https://calver.org. Pure.

``YYYY.0M.0D.MICRO`` reads ``2026.03.15.2``, with an optional leading ``v``, and an optional ``-pre`` and ``+build`` as in
semantic versions. They are ordered by segment, from left to right; a pre-release comes before its release.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import total_ordering

from dewy.errors import UsageError

__all__ = ["CalendarVersion", "calendar_parser"]

_TOKENS = {
    "YYYY": r"[1-9][0-9]{3}",
    "MICRO": r"0|[1-9][0-9]{0,17}",
    "0Y": r"[0-9]{2}|[1-9][0-9]{2}",
    "YY": r"[0-9]|[1-9][0-9]{1,2}",
    "0M": r"0[1-9]|1[0-2]",
    "MM": r"[1-9]|1[0-2]",
    "0W": r"0[1-9]|[1-4][0-9]|5[0-3]",
    "WW": r"[1-9]|[1-4][0-9]|5[0-3]",
    "0D": r"0[1-9]|[12][0-9]|3[01]",
    "DD": r"[1-9]|[12][0-9]|3[01]",
}
_SPLIT = re.compile("(" + "|".join(_TOKENS) + ")")
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_LONGEST_TAG = 255

Identifier = tuple[bool, int, str]


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class CalendarVersion:
    """A version by the calendar. Greater is newer; two are equal only if their tags are.

    Attributes:
        tag: As the store spells it.
        segments: The numbers, in the format's order.
        prerelease: Behind the dash, or empty.
        build: Behind the plus sign, or empty.
    """

    tag: str
    segments: tuple[int, ...]
    prerelease: str
    build: str

    @property
    def is_prerelease(self) -> bool:
        """Whether it comes before a release."""
        return bool(self.prerelease)

    def __str__(self) -> str:
        return self.tag

    def __eq__(self, other: object) -> bool:
        return self.tag == other.tag if isinstance(other, CalendarVersion) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.tag)

    def __lt__(self, other: CalendarVersion) -> bool:
        if not isinstance(other, CalendarVersion):
            return NotImplemented
        return self._key() < other._key()

    def _key(self) -> tuple[tuple[int, ...], bool, tuple[Identifier, ...], tuple[Identifier, ...], str]:
        return self.segments, not self.prerelease, _identifiers(self.prerelease), _identifiers(self.build), self.tag


def calendar_parser(form: str) -> Callable[[str], CalendarVersion | None]:
    """A parser of tags in a format; it returns None for what is no such version, and never raises.

    Raises:
        UsageError: The format has no token; says which there are.
    """
    parts = _SPLIT.split(form.removeprefix("v"))
    if len(parts) == 1:
        raise UsageError(f"--calver {form!r} has no token", f"It takes {', '.join(_TOKENS)} and text between them")
    body = "".join(f"({_TOKENS[part]})" if part in _TOKENS else re.escape(part) for part in parts)
    pattern = re.compile(rf"v?{body}(?:-(?P<pre>{_IDENTIFIERS}))?(?:\+(?P<build>{_IDENTIFIERS}))?", re.ASCII)
    count = sum(part in _TOKENS for part in parts)

    def parse(tag: str) -> CalendarVersion | None:
        match = pattern.fullmatch(tag) if len(tag) <= _LONGEST_TAG else None
        if match is None:
            return None
        segments = tuple(int(text) for text in match.groups()[:count])
        return CalendarVersion(tag, segments, match["pre"] or "", match["build"] or "")

    return parse


def _identifiers(text: str) -> tuple[Identifier, ...]:
    """As SemVer orders pre-release identifiers: numbers by value, and before words."""
    parts = text.split(".") if text else []
    return tuple((False, int(part), "") if part.isdigit() else (True, 0, part) for part in parts)
