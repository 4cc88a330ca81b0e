"""What this distribution brings to dewy: the hooks. The objects that the backends open import what they need, when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import CATALOG_OPTIONS, AttachingCatalog, Backend

if TYPE_CHECKING:
    from dewy.types import Artifact, Context
    from dewy.urls import BackendURL

__all__ = ["ARTIFACT", "REGISTRY", "dewy_artifacts", "dewy_registries"]

_PLACE = ("GITHUB_API_URL", "GITHUB_ENDPOINT")
"""Variables that change what a URL leads to."""


def _open_registry(url: BackendURL, context: Context) -> AttachingCatalog:
    from dewy_registry_ghr.catalog import GitHubCatalog
    from dewy_registry_ghr.location import RepositoryName
    from dewy_registry_ghr.repository import Repository

    repository = Repository.shared(RepositoryName.of_registry(url), context)
    return GitHubCatalog(repository, pre_release=url.flag("pre-release"))


def _open_artifact(url: BackendURL, context: Context) -> Artifact:
    from dewy_registry_ghr.artifact import GitHubArtifact
    from dewy_registry_ghr.location import AssetName
    from dewy_registry_ghr.repository import Repository

    asset = AssetName.of_artifact(url)
    return GitHubArtifact(asset, Repository.shared(asset.repository, context))


REGISTRY: Backend[AttachingCatalog] = Backend(
    schemes=("ghr",),
    summary="GitHub Releases, also of a GitHub Enterprise Server",
    examples=("ghr://example/myapp", "ghr://example/myapp?pre-release=true", "ghr://example/myapp?artifact=myapp.tar.gz"),
    options=CATALOG_OPTIONS,
    environment=_PLACE,
    open=_open_registry,
)
"""The registry backend."""

ARTIFACT: Backend[Artifact] = Backend(
    schemes=("ghr",),
    summary="a file of a release on GitHub",
    examples=(
        "ghr://example/myapp/tag/v1.4.0/myapp_linux_amd64.tar.gz",
        "ghr://example/myapp/tag/web%2Fv1.4.0/myapp_linux_amd64.tar.gz",
    ),
    environment=_PLACE,
    open=_open_artifact,
)
"""The artifact backend."""


@hookimpl
def dewy_registries() -> tuple[Backend[AttachingCatalog], ...]:
    """The registry for ``ghr://OWNER/REPO``."""
    return (REGISTRY,)


@hookimpl
def dewy_artifacts() -> tuple[Backend[Artifact], ...]:
    """The artifact for ``ghr://OWNER/REPO/tag/TAG/FILE``."""
    return (ARTIFACT,)
