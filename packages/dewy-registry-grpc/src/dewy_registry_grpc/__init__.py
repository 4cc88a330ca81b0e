"""dewy's registry backend for a server of your own, asked by gRPC (``grpc://``).

Nothing here is called by hand: dewy finds the backend through :mod:`dewy_registry_grpc.plugin`. What a server answers to is
``registry.proto`` beside this file.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-registry-grpc")
    raise AttributeError(f"module 'dewy_registry_grpc' has no attribute {name!r}")
