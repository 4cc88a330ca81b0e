"""What dewy brings itself, through the same page of hooks as everybody else."""

from __future__ import annotations

from collections.abc import Iterable

from dewy.backends.file import FILE_ARTIFACT, FILE_CACHE, FILE_CATALOG
from dewy.backends.http import HTTP_ARTIFACT
from dewy.backends.memory import MEMORY_CACHE
from dewy.hookspecs import hookimpl
from dewy.types import Artifact, Backend, Cache, Catalog

__all__ = ["dewy_artifacts", "dewy_caches", "dewy_registries"]


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
