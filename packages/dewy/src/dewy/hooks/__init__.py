"""Deploy hooks: those of plugins, in Python, and the user's own, as shell commands (section 6)."""

from __future__ import annotations

from dewy.hooks.calling import DeployHooks

__all__ = ["DeployHooks"]
