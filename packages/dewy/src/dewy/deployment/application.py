"""What a deployment knows of the process that it deploys. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from dewy.state import Deployed

__all__ = ["Application"]


class Application(Protocol):
    """The supervisor as a deployment sees it; ``dewy assets`` has none.

    A verb returns when it is done, and raises StartError when what was to be started is not ready.
    """

    def start(self, release: Deployed) -> None:
        """Keeps a release running from now on: it is started again and again, also when this raises."""

    def swap(self, release: Deployed) -> None:
        """Runs a release in place of the present one, which serves until the new one is ready, or on if it never is."""

    def running(self) -> Collection[str]:
        """The release directories of all processes that still run, by name."""

    def speaks_notify(self) -> bool:
        """Whether the application has been seen to say when it is ready (sd_notify)."""
