"""From a catalog, which only lists, to a registry: the core's choosing, once, for every store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dewy.audit import entry_content, entry_name
from dewy.choose import Rules, artifact_of, is_remains, newest, nothing_to_run, release_of
from dewy.types import AttachingCatalog, Catalog, ListedVersion, Platform, Release, Report

__all__ = ["CatalogRegistry"]

_MOST_REMAINS = 20
"""So many deleted versions are passed over in a row; each costs a request."""


class CatalogRegistry:
    """The :class:`dewy.types.Registry` of a catalog.

    Args:
        catalog: The store.
        rules: What the user asks of a release.
        clock: Tells the time, aware of its zone.
    """

    def __init__(self, catalog: Catalog, rules: Rules, clock: Callable[[], datetime]) -> None:
        self._catalog, self._rules, self._clock = catalog, rules, clock

    def current(self, platform: Platform) -> Release:
        """The newest version's artifact for a platform.

        Raises:
            ReleasePending: The newest version's artifact is not there yet. No older version is taken instead.
            RegistryError: There is no version or no artifact to run, or the store failed.
        """
        versions = list(self._catalog.versions())
        left = versions
        for _ in range(_MOST_REMAINS):
            version = newest(left, self._rules)
            if version is None:
                break
            files = list(self._catalog.files(version))
            if not is_remains(version, files):
                return release_of(version, artifact_of(version, files, platform, self._rules, self._clock()), files)
            left = [other for other in left if other != version]
        raise nothing_to_run(versions, self._rules)

    def report(self, report: Report) -> None:
        """Stores an audit entry beside the version (R29), where the store takes one and the deployment succeeded."""
        if report.error is None and isinstance(self._catalog, AttachingCatalog):
            version = ListedVersion(report.release.version, report.release.published)
            self._catalog.attach(version, entry_name(report), entry_content(report))
