"""The conformance kit, on a server that answers as GitHub does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dewy.testing import ArtifactConformance, CatalogConformance
from dewy_registry_ghr.plugin import ARTIFACT, REGISTRY
from ghr_github import GitHub

PLUGIN = "dewy_registry_ghr.plugin"
NOBODY = {"GH_TOKEN": "ghp_secretsecretsecret", "GITHUB_API_URL": "http://127.0.0.1:1"}


class _Store:
    @pytest.fixture
    def environ(self, request: pytest.FixtureRequest, github: GitHub) -> Mapping[str, str]:
        return NOBODY if "unreachable" in request.fixturenames else github.environ

    @pytest.fixture
    def store(self, github: GitHub) -> GitHub:
        return github


class TestGitHubCatalog(_Store, CatalogConformance):
    backend = REGISTRY
    plugin = PLUGIN
    artifacts = (ARTIFACT,)
    attaches = True

    @pytest.fixture
    def unreachable(self) -> str:
        return "ghr://example/myapp"


class TestGitHubArtifact(_Store, ArtifactConformance):
    backend = ARTIFACT
    plugin = PLUGIN
    interrupts = True
    resumes = True

    @pytest.fixture
    def unreachable(self) -> str:
        return "ghr://example/myapp/tag/v1.0.0/app"
