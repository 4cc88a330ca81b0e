"""What crosses the boundary between dewy and a plugin: facts as frozen dataclasses, powers as protocols.

A new fact is a new field with a default, never a new argument. An optional power is a protocol of its own, which a
backend has by having its methods. Pure: nothing here touches the world.
"""

from __future__ import annotations

from dewy.types.artifacts import Artifact, Stated
from dewy.types.backends import CATALOG_OPTIONS, NOTIFIER_OPTIONS, SHARED_CACHE_OPTIONS, Backend, Context, Option, OptionKind
from dewy.types.caches import AtomicCache, Cache, PinningCache, TidyingCache, WatchableCache
from dewy.types.deployments import Deployment, Outcome, Result
from dewy.types.messages import Event, FieldValue, Level, Message, Notifier
from dewy.types.registries import (
    AttachingCatalog,
    Catalog,
    Command,
    ListedFile,
    ListedVersion,
    Platform,
    Registry,
    Release,
    Report,
)

__all__ = [
    "CATALOG_OPTIONS",
    "NOTIFIER_OPTIONS",
    "SHARED_CACHE_OPTIONS",
    "Artifact",
    "AtomicCache",
    "AttachingCatalog",
    "Backend",
    "Cache",
    "Catalog",
    "Command",
    "Context",
    "Deployment",
    "Event",
    "FieldValue",
    "Level",
    "ListedFile",
    "ListedVersion",
    "Message",
    "Notifier",
    "Option",
    "OptionKind",
    "Outcome",
    "PinningCache",
    "Platform",
    "Registry",
    "Release",
    "Report",
    "Result",
    "Stated",
    "TidyingCache",
    "WatchableCache",
]
