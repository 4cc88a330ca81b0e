"""Ranges of semantic versions that are never left: ``--constraint``. Pure.

Comparators are separated by commas and must all hold: ``>=1.4,<2``. ``~1.4`` is >=1.4.0 and <1.5.0, ``^1.4`` is >=1.4.0 and
<2.0.0 (``^0.2`` is <0.3.0: there, the minor number breaks), ``1.4.x`` and ``1.4`` are any patch of 1.4. A version left short
means its first one, so ``>1.4`` is >=1.5.0. The pre-releases of an upper bound are beyond it: 2.0.0-rc.1 is not <2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import semver

from dewy.errors import UsageError

__all__ = ["Constraint", "parse_constraint"]

_COMPARATOR = re.compile(
    r"(?P<operator>>=|<=|!=|==|=|>|<|~|\^)?\s*v?(?P<major>[0-9]{1,9}|[xX*])(?:\.(?P<minor>[0-9]{1,9}|[xX*]))?"
    r"(?:\.(?P<patch>[0-9]{1,9}|[xX*]))?(?P<pre>-[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_TAKES = "It takes comparators such as >=1.4,<2 or ~1.4 or ^1.4 or 1.4.x, separated by commas"


@dataclass(frozen=True, slots=True)
class _Range:
    """From ``low`` on, and below ``high``; None is no bound. With ``outside``, all but these."""

    low: semver.Version | None
    high: semver.Version | None
    outside: bool = False

    def has(self, version: semver.Version) -> bool:
        inside = (self.low is None or version >= self.low) and (self.high is None or version < self.high)
        return inside != self.outside


@dataclass(frozen=True, slots=True)
class Constraint:
    """A range of versions.

    Attributes:
        text: As the user wrote it.
    """

    text: str
    _ranges: tuple[_Range, ...]

    def __str__(self) -> str:
        return self.text

    def allows(self, version: semver.Version) -> bool:
        """Whether a version is within the range."""
        return all(part.has(version) for part in self._ranges)


def parse_constraint(text: str) -> Constraint:
    """Reads a range. Raises UsageError, which says what it takes."""
    parts = [part.strip() for part in text.split(",")]
    return Constraint(text, tuple(_range(part, text) for part in parts))


def _range(part: str, text: str) -> _Range:
    match = _COMPARATOR.fullmatch(part)
    if match is None:
        raise UsageError(f"--constraint {text!r}: {part!r} is no comparator", _TAKES)
    numbers = _numbers(match["major"], match["minor"], match["patch"])
    operator = match["operator"] or "="
    if match["pre"] and (len(numbers) < 3 or operator in "~^"):
        raise UsageError(f"--constraint {text!r}: {part!r} has a pre-release without a whole version", _TAKES)
    try:
        low = semver.Version.parse(".".join(map(str, (*numbers, 0, 0, 0)[:3])) + (match["pre"] or ""))
    except ValueError:
        raise UsageError(f"--constraint {text!r}: {part!r} is no semantic version", _TAKES) from None
    return _bounded(operator, low, numbers)


def _numbers(*texts: str | None) -> tuple[int, ...]:
    """The numbers before the first one that is left out or is a wildcard."""
    numbers = []
    for text in texts:
        if text is None or not text.isdigit():
            break
        numbers.append(int(text))
    return tuple(numbers)


def _bounded(operator: str, low: semver.Version, numbers: tuple[int, ...]) -> _Range:
    after = _after(low, numbers)
    beyond = after.replace(prerelease=None) if after and len(numbers) < 3 else after
    floor = low if low.prerelease else low.replace(prerelease="0")
    bounds: dict[str, tuple[semver.Version | None, semver.Version | None]] = {
        ">=": (low, None),
        ">": (beyond, None),
        "<": (None, floor),
        "<=": (None, after),
        "~": (low, _next(numbers[:2])),
        "^": (low, _next(_breaking(numbers))),
    }
    return _Range(*bounds.get(operator, (low, after)), outside=operator == "!=")


def _after(low: semver.Version, numbers: tuple[int, ...]) -> semver.Version | None:
    """The first version that is not what was written any more."""
    if len(numbers) < 3:
        return _next(numbers)
    # nothing comes between a version and the same with one more pre-release identifier, but build metadata does not count
    return (
        low.replace(prerelease=f"{low.prerelease}.0") if low.prerelease else low.replace(patch=low.patch + 1, prerelease="0")
    )


def _breaking(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers up to the leftmost that is not zero: a rise of it breaks compatibility."""
    for position, number in enumerate(numbers):
        if number:
            return numbers[: position + 1]
    return numbers


def _next(numbers: tuple[int, ...]) -> semver.Version | None:
    """The lowest pre-release of the first version beyond all that begin so; None when that is all there are."""
    if not numbers:
        return None
    *before, last = numbers
    major, minor, patch = (*before, last + 1, 0, 0, 0)[:3]
    return semver.Version(major, minor, patch, "0")
