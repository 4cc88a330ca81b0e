"""dewy's registry and artifact backend for Google Cloud Storage (``gs://``).

Nothing here is called by hand: dewy finds the backends through :mod:`dewy_registry_gs.plugin`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-registry-gs")
    raise AttributeError(f"module 'dewy_registry_gs' has no attribute {name!r}")
