"""dewy's notifier for Slack (``slack://``).

Nothing here is called by hand: dewy finds the backend through :mod:`dewy_notifier_slack.plugin`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-notifier-slack")
    raise AttributeError(f"module 'dewy_notifier_slack' has no attribute {name!r}")
