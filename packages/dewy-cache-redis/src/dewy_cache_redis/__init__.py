"""dewy's cache backend for Redis and Valkey (``redis://`` and its kin), shared by a whole fleet.

Nothing here is called by hand: dewy finds the backend through :mod:`dewy_cache_redis.plugin`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-cache-redis")
    raise AttributeError(f"module 'dewy_cache_redis' has no attribute {name!r}")
