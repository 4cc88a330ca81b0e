"""From a URL to a store, as the plugin does it."""

from __future__ import annotations

from collections.abc import Mapping

from dewy.urls import parse_url
from dewy_cache_consul.agent import Agent
from dewy_cache_consul.client import Client
from dewy_cache_consul.plugin import CACHE
from dewy_cache_consul.store import ConsulStore

__all__ = ["agent_of", "store_of"]


def agent_of(url: str, environ: Mapping[str, str] | None = None) -> Agent:
    """What a URL names."""
    return Agent.of(parse_url(url, CACHE.options, kind="cache"), environ or {})


def store_of(url: str, environ: Mapping[str, str] | None = None) -> ConsulStore:
    """The store that a URL names."""
    return ConsulStore(Client(agent_of(url, environ), lambda token: token))
