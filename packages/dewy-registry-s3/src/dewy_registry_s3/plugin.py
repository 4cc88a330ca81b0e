"""What this distribution brings to dewy: the hooks. Imports no SDK; the objects that the backends open do, when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import CATALOG_OPTIONS, AttachingCatalog, Backend, Option

if TYPE_CHECKING:
    from dewy.types import Artifact, Context
    from dewy.urls import BackendURL

__all__ = ["ARTIFACT", "REGISTRY", "dewy_artifacts", "dewy_registries"]

_STORE_OPTIONS = (
    Option("endpoint", "where an S3-compatible store answers, in place of Amazon's own address", kind="url"),
    Option("anonymous", "ask without credentials, as a public bucket allows", kind="flag", default="false"),
)

_PLACE = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_CONFIG_FILE")
"""Variables that change what a URL leads to."""


def _open_registry(url: BackendURL, context: Context) -> AttachingCatalog:
    from dewy.objectstore import object_catalog
    from dewy_registry_s3.store import open_store

    store, path = open_store(url, context)
    return object_catalog(store, url, path)


def _open_artifact(url: BackendURL, context: Context) -> Artifact:
    from dewy.objectstore import object_artifact
    from dewy_registry_s3.store import open_store

    store, path = open_store(url, context)
    return object_artifact(store, url, path)


REGISTRY: Backend[AttachingCatalog] = Backend(
    schemes=("s3",),
    summary="Amazon S3 and compatible stores: objects at PREFIX/VERSION/FILE",
    examples=(
        "s3://us-east-1/releases/myapp",
        "s3://eu-central-1/releases/myapp?pre-release=true",
        "s3://us-east-1/releases/myapp?endpoint=http://127.0.0.1:8333",
    ),
    options=(*CATALOG_OPTIONS, *_STORE_OPTIONS),
    environment=_PLACE,
    open=_open_registry,
)
"""The registry backend."""

ARTIFACT: Backend[Artifact] = Backend(
    schemes=("s3",),
    summary="an object in Amazon S3 or a compatible store",
    examples=(
        "s3://us-east-1/releases/myapp/v1.4.0/myapp_linux_amd64.tar.gz",
        "s3://us-east-1/releases/myapp/v1.4.0/myapp_linux_amd64.tar.gz?endpoint=http://127.0.0.1:8333",
    ),
    options=_STORE_OPTIONS,
    environment=_PLACE,
    open=_open_artifact,
)
"""The artifact backend."""


@hookimpl
def dewy_registries() -> tuple[Backend[AttachingCatalog], ...]:
    """The registry for ``s3://REGION/BUCKET/PREFIX``."""
    return (REGISTRY,)


@hookimpl
def dewy_artifacts() -> tuple[Backend[Artifact], ...]:
    """The artifact for ``s3://REGION/BUCKET/KEY``."""
    return (ARTIFACT,)
