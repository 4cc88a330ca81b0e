"""Registries and artifacts on object stores: versions as prefixes, files as objects, once for every such store.

A plugin for a store implements :class:`ObjectStore`, which is the calls of the store's SDK on one bucket, and opens its
backends with :func:`object_catalog` and :func:`object_artifact`.
"""

from dewy.objectstore.artifact import ObjectArtifact, object_artifact
from dewy.objectstore.catalog import ObjectCatalog, object_catalog
from dewy.objectstore.clients import Clients
from dewy.objectstore.faults import Fault, ObjectStoreError, one_line, system_reason
from dewy.objectstore.store import ListedObject, ObjectReader, ObjectStore, Sink

__all__ = [
    "Clients",
    "Fault",
    "ListedObject",
    "ObjectArtifact",
    "ObjectCatalog",
    "ObjectReader",
    "ObjectStore",
    "ObjectStoreError",
    "Sink",
    "object_artifact",
    "object_catalog",
    "one_line",
    "system_reason",
]
