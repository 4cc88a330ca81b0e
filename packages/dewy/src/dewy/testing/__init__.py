"""The conformance kit: what every plugin is held to, for their authors' test suites and our own.

Subclass the class of your kind, name your backend, give two to four fixtures, and run pytest (``pip install dewy[test]``):
:class:`CatalogConformance` and :class:`RegistryConformance` for registries, :class:`ArtifactConformance`,
:class:`CacheConformance`, :class:`NotifierConformance`. The guide for plugin authors walks through an example.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"dewy.testing.{name}"
        for name in (
            "artifact",
            "backend",
            "cache",
            "cache_atomic",
            "cache_pins",
            "catalog",
            "failures",
            "notifier",
            "registry",
        )
    )
)

from dewy.testing.artifact import ArtifactConformance, ArtifactStore
from dewy.testing.backend import BackendConformance, needs
from dewy.testing.cache import CacheConformance
from dewy.testing.catalog import CatalogConformance, CatalogStore
from dewy.testing.clock import FakeClock
from dewy.testing.context import TestContext
from dewy.testing.distributions import write_distribution
from dewy.testing.imports import foreign_imports
from dewy.testing.notifier import Inbox, NotifierConformance
from dewy.testing.recorder import Recorder
from dewy.testing.registry import RegistryConformance, RegistryStore, SeenReport

__all__ = [
    "ArtifactConformance",
    "ArtifactStore",
    "BackendConformance",
    "CacheConformance",
    "CatalogConformance",
    "CatalogStore",
    "FakeClock",
    "Inbox",
    "NotifierConformance",
    "Recorder",
    "RegistryConformance",
    "RegistryStore",
    "SeenReport",
    "TestContext",
    "foreign_imports",
    "needs",
    "write_distribution",
]
