"""Reading the audit entries of a whole fleet from a catalog (R7)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from dewy.audit import AuditEntry, parse_entry
from dewy.types import Catalog, ListedVersion

__all__ = ["Query", "Shipped", "shipped"]

_AT_ONCE = 8
"""Versions whose files are listed side by side: most of the time is the store's answer being on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for.

    Attributes:
        host: A host's name; None for all.
        version: A version's tag; None for all.
        since: Nothing before this time; None for all.
    """

    host: str | None = None
    version: str | None = None
    since: datetime | None = None

    def takes(self, entry: AuditEntry) -> bool:
        """Whether an entry is looked for."""
        return (self.host is None or entry.host == self.host.lower()) and (self.since is None or entry.at >= self.since)


@dataclass(frozen=True, slots=True)
class Shipped:
    """One version on one host."""

    version: str
    entry: AuditEntry


def shipped(catalog: Catalog, query: Query) -> Iterator[Shipped]:
    """The entries that are looked for, by version as the store lists them, each version's newest first.

    They come as they are found. Files that are no audit entries are passed over. Raises what the catalog raises.
    """
    versions = [version for version in catalog.versions() if query.version in (None, version.tag)]
    with ThreadPoolExecutor(_AT_ONCE, "audit") as pool:
        for version, entries in zip(versions, pool.map(lambda version: _entries(catalog, version), versions), strict=True):
            for entry in sorted(filter(query.takes, entries), key=lambda entry: entry.at, reverse=True):
                yield Shipped(version.tag, entry)


def _entries(catalog: Catalog, version: ListedVersion) -> list[AuditEntry]:
    return [entry for file in catalog.files(version) if (entry := parse_entry(file.name))]
