"""What dewy brings itself: hooks and declarations, as in everybody else's plugin. What they open is imported when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy.hookspecs import hookimpl
from dewy.types import CATALOG_OPTIONS, Backend, Option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dewy.types import Artifact, Cache, Catalog, Context
    from dewy.urls import BackendURL

__all__ = [
    "FILE_ARTIFACT",
    "FILE_CACHE",
    "FILE_CATALOG",
    "HTTP_ARTIFACT",
    "MEMORY_CACHE",
    "dewy_artifacts",
    "dewy_caches",
    "dewy_registries",
]


def _bounds(keep: int, size: str) -> tuple[Option, ...]:
    """The options of a cache that removes what is old by itself, with its defaults (R45)."""
    return (
        Option("keep", "how many values it keeps", kind="integer", default=str(keep)),
        Option("max-size", "how large all values together may grow, as in 500M or 5G", default=size),
    )


def _open_file_catalog(url: BackendURL, context: Context) -> Catalog:
    from dewy.backends.file_catalog import open_catalog

    return open_catalog(url)


def _open_file_artifact(url: BackendURL, context: Context) -> Artifact:
    from dewy.backends.file_artifact import open_artifact

    return open_artifact(url)


def _open_http_artifact(url: BackendURL, context: Context) -> Artifact:
    from dewy.backends.http import open_artifact

    return open_artifact(url, context)


def _open_file_cache(url: BackendURL, context: Context) -> Cache:
    from dewy.backends.file_cache import open_cache

    return open_cache(url, context)


def _open_memory_cache(url: BackendURL, context: Context) -> Cache:
    from dewy.backends.memory import open_cache

    return open_cache(url)


FILE_CATALOG: Backend[Catalog] = Backend(
    schemes=("file",),
    summary="a directory on this host: <path>/<version>/<artifact>",
    local=True,
    examples=("file:///srv/releases/myapp", "file:///srv/releases/myapp?pre-release=true&artifact=myapp.tar.gz"),
    open=_open_file_catalog,
    options=CATALOG_OPTIONS,
)
FILE_ARTIFACT: Backend[Artifact] = Backend(
    schemes=("file",),
    summary="a file on this host",
    local=True,
    examples=("file:///srv/releases/v1.4.0/myapp_linux_amd64.tar.gz",),
    open=_open_file_artifact,
)
HTTP_ARTIFACT: Backend[Artifact] = Backend(
    schemes=("https", "http"),
    summary="a file of any web server",
    examples=("https://downloads.example.com/myapp/1.4.0/myapp_linux_amd64.tar.gz", "http://127.0.0.1:8080/myapp.tar.gz"),
    open=_open_http_artifact,
    options=None,
)
FILE_CACHE: Backend[Cache] = Backend(
    schemes=("file",),
    summary="a directory on this host, dewy's own unless the URL names one",
    examples=("file://", "file:///var/cache/dewy/myapp?keep=40&max-size=10G"),
    open=_open_file_cache,
    options=_bounds(keep=20, size="5G"),
)
MEMORY_CACHE: Backend[Cache] = Backend(
    schemes=("memory",),
    summary="this process's memory, gone when it ends",
    examples=("memory://", "memory://?keep=4&max-size=64M"),
    open=_open_memory_cache,
    options=_bounds(keep=20, size="256M"),
)


@hookimpl
def dewy_registries() -> Iterable[Backend[Catalog]]:
    """The ``file`` registry."""
    return [FILE_CATALOG]


@hookimpl
def dewy_artifacts() -> Iterable[Backend[Artifact]]:
    """The ``file`` and ``https`` artifacts."""
    return [FILE_ARTIFACT, HTTP_ARTIFACT]


@hookimpl
def dewy_caches() -> Iterable[Backend[Cache]]:
    """The ``file`` and ``memory`` caches."""
    return [FILE_CACHE, MEMORY_CACHE]
