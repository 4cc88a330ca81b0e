"""Times as people write them: ``30``, ``1.5``, ``30s``, ``5m``, ``1h30m``, ``7d``. Pure."""

from __future__ import annotations

import re

__all__ = ["format_duration", "parse_duration"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 100 * 365 * 86400.0
"""A hundred years, in seconds: some clocks and waits overflow not far beyond."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Reads a time, in seconds. Raises ValueError for anything else: negative times and more than a hundred years, too."""
    plain = text.strip().lower()
    seconds = float(plain) if _NUMBER.match(plain) else _sum_of_parts(plain)
    if seconds is None or seconds > _LONGEST:
        raise ValueError(f"not a time: {text[:40]!r}")
    return seconds


def _sum_of_parts(text: str) -> float | None:
    """What the parts of ``1h30m`` come to; None when it does not consist of such parts."""
    position, total = 0, 0.0
    while match := _PART.match(text, position):
        total += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    return total if position and position == len(text) else None


def format_duration(seconds: float) -> str:
    """A time for people: ``0.42s``, ``12s``, ``5m``, ``1h30m``."""
    if seconds < 10:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
