"""dewy's registry and artifact backend for GitHub Releases and GitHub Enterprise Server (``ghr://``).

Nothing here is called by hand: dewy finds the backends through :mod:`dewy_registry_ghr.plugin`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-registry-ghr")
    raise AttributeError(f"module 'dewy_registry_ghr' has no attribute {name!r}")
