"""dewy's registry and artifact backend for Amazon S3 and every store that speaks its protocol (``s3://``).

Nothing here is called by hand: dewy finds the backends through :mod:`dewy_registry_s3.plugin`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-registry-s3")
    raise AttributeError(f"module 'dewy_registry_s3' has no attribute {name!r}")
