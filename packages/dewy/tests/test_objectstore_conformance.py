"""A registry and an artifact on an object store pass the kit, on a store in this process."""

from __future__ import annotations

import pytest

from dewy.testing import ArtifactConformance, CatalogConformance
from object_buckets import ARTIFACT, REGISTRY, Releases


class _InThisProcess:
    @pytest.fixture
    def store(self, monkeypatch: pytest.MonkeyPatch) -> Releases:
        """An empty place in a bucket, whose downloads do not wait for long before they are taken up."""
        monkeypatch.setattr("dewy.objectstore.artifact._FIRST_PAUSE", 0.001)
        return Releases()

    @pytest.fixture
    def unreachable(self) -> str:
        return "bucket://down/myapp/v1.0.0/app"


class TestObjectCatalog(_InThisProcess, CatalogConformance):
    backend = REGISTRY
    plugin = "object_buckets"
    artifacts = (ARTIFACT,)
    attaches = True

    test_plugin_is_found_by_its_entry_point = None  # type: ignore[assignment]  # it is no distribution


class TestObjectArtifact(_InThisProcess, ArtifactConformance):
    backend = ARTIFACT
    plugin = "object_buckets"
    interrupts = True
    resumes = True

    test_plugin_is_found_by_its_entry_point = None  # type: ignore[assignment]  # it is no distribution
