"""Declarative, pull-based deployment for applications on hosts without Kubernetes.

Plugins need :mod:`dewy.hookspecs`, :mod:`dewy.types`, :mod:`dewy.errors`, :mod:`dewy.http` and, in their tests,
:mod:`dewy.testing`.
"""

from __future__ import annotations

from dewy.hookspecs import hookimpl, hookspec

__all__ = ["__version__", "hookimpl", "hookspec"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy")
    raise AttributeError(f"module 'dewy' has no attribute {name!r}")
