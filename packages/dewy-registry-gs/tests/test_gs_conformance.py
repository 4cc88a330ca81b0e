"""The conformance kit, on a real server of the API."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dewy.testing import ArtifactConformance, CatalogConformance, TestContext
from dewy_registry_gs.plugin import ARTIFACT, REGISTRY
from gs_store import Bucket
from s3_proxy import Proxy

PLUGIN = "dewy_registry_gs.plugin"


class _ThroughTheProxy:
    @pytest.fixture
    def environ(self, proxy: Proxy) -> Mapping[str, str]:
        return {"STORAGE_EMULATOR_HOST": proxy.endpoint}

    @pytest.fixture
    def store(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
        """The bucket, whose downloads do not wait for long before they are taken up."""
        monkeypatch.setattr("dewy.objectstore.artifact._FIRST_PAUSE", 0.01)
        return bucket

    @pytest.fixture
    def unreachable(self, context: TestContext) -> str:
        """An emulator's address is not in the URL."""
        context.environ = {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}
        return "gs://releases/myapp/v1.0.0/app"


class TestGoogleCatalog(_ThroughTheProxy, CatalogConformance):
    backend = REGISTRY
    plugin = PLUGIN
    artifacts = (ARTIFACT,)
    attaches = True


class TestGoogleArtifact(_ThroughTheProxy, ArtifactConformance):
    backend = ARTIFACT
    plugin = PLUGIN
    interrupts = True
    resumes = True
