"""dewy's notifier for mail (``mail://``, ``smtp://``).

Nothing here is called by hand: dewy finds the backend through :mod:`dewy_notifier_mail.plugin`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dewy-notifier-mail")
    raise AttributeError(f"module 'dewy_notifier_mail' has no attribute {name!r}")
