"""dewy's shared cache in Consul's key-value store (``consul://``, ``consul+https://``).

Nothing here is called by hand: dewy finds the backend through :mod:`dewy_cache_consul.plugin`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-cache-consul")
    raise AttributeError(f"module 'dewy_cache_consul' has no attribute {name!r}")
