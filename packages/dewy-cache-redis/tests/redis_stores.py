"""From a URL to a store, as the plugin does it."""

from __future__ import annotations

from collections.abc import Mapping

from dewy.urls import parse_url
from dewy_cache_redis.connection import Connections
from dewy_cache_redis.plugin import CACHE
from dewy_cache_redis.store import RedisStore
from dewy_cache_redis.target import Target

__all__ = ["store_of", "target_of"]


def target_of(url: str, environ: Mapping[str, str] | None = None) -> Target:
    """What a URL names."""
    return Target.of(parse_url(url, CACHE.options, kind="cache"), environ or {})


def store_of(url: str, environ: Mapping[str, str] | None = None) -> RedisStore:
    """The store that a URL names."""
    return RedisStore(Connections(target_of(url, environ)), str(parse_url(url, CACHE.options, kind="cache")))
