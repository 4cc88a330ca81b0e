"""What this distribution brings to dewy: the hook. Imports no SDK; opening a URL does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import SHARED_CACHE_OPTIONS, Backend, Option

if TYPE_CHECKING:
    from dewy.types import Cache, Context
    from dewy.urls import BackendURL

__all__ = ["CACHE", "dewy_caches"]


def _open(url: BackendURL, context: Context) -> Cache:
    from dewy.keyvalue import key_value_cache
    from dewy_cache_redis.connection import Connections
    from dewy_cache_redis.store import RedisStore
    from dewy_cache_redis.target import Target, prefix_of

    target = Target.of(url, context.environ)
    for secret in target.secrets:
        context.secret(secret)
    return key_value_cache(RedisStore(Connections(target), str(url)), url, prefix=prefix_of(url))


CACHE: Backend[Cache] = Backend(
    schemes=("redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel"),
    summary="Redis and Valkey, shared by a whole fleet",
    examples=(
        "redis://cache.example.com:6379/0?registry-ttl=30s",
        "rediss://dewy@cache.example.com:6380/0?ca=/etc/dewy/ca.pem&registry-ttl=30s&artifact-ttl=7d",
        "redis+unix:///run/redis/redis.sock?db=1",
        "redis+sentinel://10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379/mymaster/0",
    ),
    options=(
        *SHARED_CACHE_OPTIONS,
        Option("prefix", "what all keys begin with; fleets with different ones share nothing", default="dewy:"),
        Option("db", "the number of the database, where it does not stand in the path", kind="integer"),
        Option("ca", "file with the certificates (PEM) of the authorities that are believed, in place of the system's"),
        Option("cert", "file with this host's certificate (PEM), for a server that asks for one"),
        Option("key", "file with the private key (PEM) of that certificate", secret=True),
        Option("sentinel-username", "the user for the Sentinels themselves"),
        Option("sentinel-password", "the password for the Sentinels themselves", secret=True),
    ),
    open=_open,
)
"""The cache backend."""


@hookimpl
def dewy_caches() -> tuple[Backend[Cache], ...]:
    """The cache for ``redis://``, ``rediss://``, ``redis+unix://``, ``redis+sentinel://`` and ``rediss+sentinel://``."""
    return (CACHE,)
