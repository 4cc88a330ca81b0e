"""How much a cache keeps, and what it lets go first (R45). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dewy.errors import UsageError
from dewy.types import Option
from dewy.urls import BackendURL

__all__ = ["Bounds", "Entry", "bound_options", "bounds_of", "parse_size", "surplus"]

_SIZE = re.compile(r"([0-9]{1,15})\s*(?:([kmgt])(?:i?b)?|b)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a cache keeps.

    Attributes:
        keep: Number of values, at least 1.
        size: Bytes of all values together, at least 1.
    """

    keep: int
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a cache, as eviction sees it.

    Attributes:
        key: Its key.
        size: In bytes.
        used: When it was last written or read, in any unit that grows.
    """

    key: str
    size: int
    used: float


def bound_options(keep: int, size: str) -> tuple[Option, ...]:
    """The URL options of a bounded cache, with its defaults."""
    return (
        Option("keep", "how many values it keeps", kind="integer", default=str(keep)),
        Option("max-size", "how large all values together may grow, as in 500M or 5G", default=size),
    )


def bounds_of(url: BackendURL) -> Bounds:
    """The bounds that a cache URL sets. Raises UsageError, which names the option and what it takes."""
    keep, size = url.integer("keep") or 0, url.text("max-size") or ""
    if keep < 1:
        raise UsageError(f"option 'keep' in the cache URL {url} is {keep}", "It takes a whole number from 1")
    try:
        return Bounds(keep, parse_size(size))
    except ValueError:
        message = f"option 'max-size' in the cache URL {url} is {size!r}"
        raise UsageError(message, "It takes a size such as 500M or 5G") from None


def parse_size(text: str) -> int:
    """Reads a size as people write it (``512``, ``64k``, ``500M``, ``5GiB``), in bytes. Units are powers of 1024.

    Raises:
        ValueError: For anything else, and for zero.
    """
    match = _SIZE.match(text.strip())
    size = int(match[1]) * _UNITS[(match[2] or "").lower()] if match else 0
    if not size:
        raise ValueError(f"not a size: {text!r}")
    return size


def surplus(entries: Iterable[Entry], bounds: Bounds, spare: Collection[str] = ()) -> list[str]:
    """What must go so that the rest is within bounds: the keys unused for longest, never one of ``spare``.

    When what is spared is already too much, the rest goes and the bounds are exceeded all the same.
    """
    oldest_first = sorted(entries, key=lambda entry: (entry.used, entry.key))
    number, size = len(oldest_first), sum(entry.size for entry in oldest_first)
    gone = []
    for entry in oldest_first:
        if number <= bounds.keep and size <= bounds.size:
            break
        if entry.key not in spare:
            gone.append(entry.key)
            number, size = number - 1, size - entry.size
    return gone
