"""Declarative, pull-based deployment for applications on hosts without Kubernetes.

Plugins need :mod:`dewy.hookspecs`, :mod:`dewy.types`, :mod:`dewy.errors`, :mod:`dewy.http` and, in their tests,
:mod:`dewy.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dewy.hookspecs import hookimpl, hookspec

    __version__: str

__all__ = ["__version__", "hookimpl", "hookspec"]


def __getattr__(name: str) -> object:
    """What is not needed by every command is looked up when it is used: starting must be quick."""
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy")
    if name in __all__:
        from dewy import hookspecs

        return getattr(hookspecs, name)
    raise AttributeError(f"module 'dewy' has no attribute {name!r}")
