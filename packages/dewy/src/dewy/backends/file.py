"""The built-in backends for ``file://`` URLs: a registry, an artifact and the default cache."""

from dewy.backends.file_artifact import FILE_ARTIFACT, FileArtifact
from dewy.backends.file_cache import FILE_CACHE, FileCache
from dewy.backends.file_catalog import FILE_CATALOG, FileCatalog

__all__ = ["FILE_ARTIFACT", "FILE_CACHE", "FILE_CATALOG", "FileArtifact", "FileCache", "FileCatalog"]
