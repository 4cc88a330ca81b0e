"""What this distribution brings to dewy: the hooks. Imports no SDK; the objects that the backends open do, when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import CATALOG_OPTIONS, AttachingCatalog, Backend, Option

if TYPE_CHECKING:
    from dewy.types import Artifact, Context
    from dewy.urls import BackendURL

__all__ = ["ARTIFACT", "REGISTRY", "dewy_artifacts", "dewy_registries"]

_STORE_OPTIONS = (Option("anonymous", "ask without credentials, as a public bucket allows", kind="flag", default="false"),)

_PLACE = ("STORAGE_EMULATOR_HOST",)
"""Variables that change what a URL leads to."""


def _open_registry(url: BackendURL, context: Context) -> AttachingCatalog:
    from dewy.objectstore import object_catalog
    from dewy_registry_gs.store import open_store

    store, path = open_store(url, context)
    return object_catalog(store, url, path)


def _open_artifact(url: BackendURL, context: Context) -> Artifact:
    from dewy.objectstore import object_artifact
    from dewy_registry_gs.store import open_store

    store, path = open_store(url, context)
    return object_artifact(store, url, path)


REGISTRY: Backend[AttachingCatalog] = Backend(
    schemes=("gs",),
    summary="Google Cloud Storage: objects at PREFIX/VERSION/FILE",
    examples=(
        "gs://releases/myapp",
        "gs://releases/myapp?pre-release=true",
        "gs://releases/myapp?anonymous=true",
    ),
    options=(*CATALOG_OPTIONS, *_STORE_OPTIONS),
    environment=_PLACE,
    open=_open_registry,
)
"""The registry backend."""

ARTIFACT: Backend[Artifact] = Backend(
    schemes=("gs",),
    summary="an object in Google Cloud Storage",
    examples=(
        "gs://releases/myapp/v1.4.0/myapp_linux_amd64.tar.gz",
        "gs://releases/myapp/v1.4.0/myapp_linux_amd64.tar.gz?anonymous=true",
    ),
    options=_STORE_OPTIONS,
    environment=_PLACE,
    open=_open_artifact,
)
"""The artifact backend."""


@hookimpl
def dewy_registries() -> tuple[Backend[AttachingCatalog], ...]:
    """The registry for ``gs://BUCKET/PREFIX``."""
    return (REGISTRY,)


@hookimpl
def dewy_artifacts() -> tuple[Backend[Artifact], ...]:
    """The artifact for ``gs://BUCKET/KEY``."""
    return (ARTIFACT,)
