"""One deployment and how it ended, as deploy hooks see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dewy.types.registries import Command

__all__ = [
    "Deployment",
    "Outcome",
    "Result",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment, as deploy hooks see it.

    Attributes:
        version: The version that is being deployed.
        previous_version: The one that runs until then; empty on the first deployment.
        artifact: The artifact's file name.
        digest: Of the artifact as it arrived, ``sha256:HEX``.
        directory: The release directory; before the deployment it does not exist yet.
        root: The application's root directory.
        command: ``server`` or ``assets``.
    """

    version: str
    previous_version: str
    artifact: str
    digest: str
    directory: Path
    root: Path
    command: Command

    @property
    def id(self) -> str:
        """The same for all hooks of one deployment, and for all that is said of it: its release directory's name."""
        return self.directory.name


Outcome = Literal["deployed", "failed", "vetoed", "rolled_back"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a deployment ended.

    Attributes:
        outcome: ``deployed``; ``vetoed``: a before-hook said no; ``failed``: it did not come to switching ``current``, and
            the previous version serves on; ``rolled_back``: it had switched ``current``, or had come further, and was
            undone: the version before is current again.
        seconds: How long it took.
        error: Why it did not end well; None if it did.
    """

    outcome: Outcome
    seconds: float
    error: str | None = None
