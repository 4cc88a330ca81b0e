"""How much a cache keeps, and what it lets go first (R45). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dewy.errors import UsageError
from dewy.sizes import parse_size
from dewy.urls import BackendURL

__all__ = ["Bounds", "Entry", "bounds_of", "surplus"]


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
