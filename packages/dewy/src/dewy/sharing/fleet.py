"""This host's part in a fleet: everything that it shares through the cache, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dewy.errors import UsageError
from dewy.host import detect_platform, host_name
from dewy.keeping import SharedKeeping
from dewy.runtime import Runtime
from dewy.sharing.claims import Claims
from dewy.sharing.downloads import Downloads
from dewy.sharing.health import CacheHealth
from dewy.sharing.identity import registry_identity
from dewy.sharing.news import News
from dewy.sharing.registry import SharedRegistry, Sharing
from dewy.sharing.upkeep import Upkeep, seconds_between_looks
from dewy.sharing.values import SharedValues
from dewy.types import AtomicCache, Cache, Platform, Registry, Release, Report, TidyingCache
from dewy.urls import BackendURL, parse_url

__all__ = ["Fleet", "answers_ttl"]

_SHORTEST = 1.0
"""Seconds that answers of the registry are shared for at least."""


@dataclass(slots=True)
class Fleet:
    """What this host shares with others.

    Attributes:
        runtime: What the parts of dewy share.
        cache: The cache.
        ttl: Seconds for which the registry's answers are shared; 0 when they are not.
        values: The cache's small values.
        claims: This host's claims.
        identity: What the registry's answers are to.
        news: Tells and is told of new versions.
        downloads: Whose turn it is to download.
    """

    runtime: Runtime
    cache: AtomicCache
    ttl: float
    values: SharedValues
    claims: Claims
    identity: str
    news: News
    downloads: Downloads

    @classmethod
    def of(cls, runtime: Runtime, cache: Cache, health: CacheHealth) -> Fleet | None:
        """This host's part in a fleet; None where the cache is its own alone."""
        if not isinstance(cache, AtomicCache):
            return None
        settings, waker, guard, emit = runtime.settings, runtime.waker, runtime.guard, runtime.emit
        values = SharedValues(cache, guard, health)
        claims = Claims(values, waker)
        found = runtime.plugins.find("registry", settings.registry)
        identity = registry_identity(found, settings, detect_platform(), host_name())
        return cls(
            runtime=runtime,
            cache=cache,
            ttl=answers_ttl(runtime),
            values=values,
            claims=claims,
            identity=identity,
            news=News(cache, values, identity, waker, guard, emit),
            downloads=Downloads(claims, waker, emit),
        )

    def registry(self, upstream: Registry, resolve: Callable[[Release], Release]) -> Registry:
        """The registry as a member of the fleet asks it.

        Args:
            upstream: The registry.
            resolve: Makes a release complete for hosts that do not ask themselves.
        """
        if self.ttl:
            runtime = self.runtime
            sharing = Sharing(
                values=self.values, claims=self.claims, identity=self.identity, ttl=self.ttl, resolve=resolve,
                emit=runtime.emit, monotonic=runtime.waker.monotonic,
            )  # fmt: skip
            upstream = SharedRegistry(upstream, sharing)
        return _Telling(upstream, self.news)

    def join(self, keeping: SharedKeeping) -> None:
        """Begins to listen to the others, and to keep up the cache, until dewy stops."""
        interval = self.runtime.settings.interval
        self.news.listen(min(1.0, interval) if self.ttl else interval)
        upkeep = self.upkeep(keeping)
        if upkeep:
            upkeep.start()

    def upkeep(self, keeping: SharedKeeping) -> Upkeep | None:
        """This host's part in keeping the cache in order; None where it keeps itself so."""
        runtime = self.runtime
        if not isinstance(self.cache, TidyingCache):
            return None
        return Upkeep(
            cache=self.cache,
            claims=self.claims,
            guard=runtime.guard,
            waker=runtime.waker,
            emit=runtime.emit,
            in_use=lambda: [keeping.key(self.news.latest)] if self.news.latest else [],
            every=seconds_between_looks(_seconds(_cache_url(runtime), "artifact-ttl")),
        )


class _Telling:
    """A registry whose answers the other hosts hear of."""

    def __init__(self, upstream: Registry, news: News) -> None:
        self._upstream, self._news = upstream, news

    def current(self, platform: Platform) -> Release:
        release = self._upstream.current(platform)
        self._news.learnt(release)
        return release

    def report(self, report: Report) -> None:
        self._upstream.report(report)


def answers_ttl(runtime: Runtime) -> float:
    """Seconds for which the cache's URL has the registry's answers shared; 0 when it has not. Raises UsageError."""
    url = _cache_url(runtime)
    ttl = _seconds(url, "registry-ttl")
    if ttl is not None and ttl < _SHORTEST:
        raise UsageError(f"option 'registry-ttl' in the cache URL {url} is {ttl:g}s", f"It takes {_SHORTEST:g}s or more")
    return ttl or 0.0


def _cache_url(runtime: Runtime) -> BackendURL:
    options = runtime.plugins.find("cache", runtime.settings.cache).backend.options
    return parse_url(runtime.settings.cache, options, kind="cache")


def _seconds(url: BackendURL, option: str) -> float | None:
    """What an option of a cache's URL says; None when it is not set, or that cache has no such option."""
    try:
        return url.seconds(option)
    except KeyError:
        return None
