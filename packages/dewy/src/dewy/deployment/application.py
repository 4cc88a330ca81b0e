"""What a deployment knows of the process that it deploys. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from dewy.errors import StartError
from dewy.state import Deployed
from dewy.supervisor.addresses import Address

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Application", "Candidate"]


class Candidate(Protocol):
    """A version that runs on private sockets, beside the one that serves."""

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens, in the order of the public addresses."""

    def ended(self) -> StartError | None:
        """Why it has ended, if it has."""

    def output(self) -> tuple[str, ...]:
        """The last lines it wrote."""


class Application(Protocol):
    """The supervisor as a deployment sees it; ``dewy assets`` has none.

    A verb returns when it is done, and raises StartError when what was to be started is not ready.
    """

    @property
    def addresses(self) -> Sequence[Address]:
        """What it listens on."""

    def start(self, release: Deployed) -> None:
        """Keeps a release running from now on: it is started again and again, also when this raises."""

    def swap(self, release: Deployed, *, gives_way: bool = False) -> None:
        """Runs a release in place of the present one, which serves until the new one is ready, or on if it never is.

        With ``gives_way`` the new one is given up, with a HostError, when the present one dies and comes back first.
        """

    def switching(self) -> AbstractContextManager[None]:
        """In the block ``current`` changes: what ran before is not started again, or it would be the wrong bytes."""

    def preflight(self, release: Deployed) -> AbstractContextManager[Candidate]:
        """Runs a release on private sockets for the time of the block."""

    def comes_back(self) -> bool:
        """Whether what served has died and is started again before anything else."""

    def is_alone(self) -> bool:
        """Whether no older process is still finishing."""

    def starts(self) -> int:
        """How many processes have been started so far."""

    def failure_since(self, starts: int, release: Deployed) -> StartError | None:
        """How a release has died, in a process that was started after so many others; None if it has not."""

    def says_ready(self) -> bool | None:
        """Whether the release that runs has said when it was ready; None where none runs."""

    def running(self) -> Collection[str]:
        """The release directories of all processes that still run, by name."""

    def speaks_notify(self) -> bool:
        """Whether the application has been seen to say when it is ready (sd_notify)."""
