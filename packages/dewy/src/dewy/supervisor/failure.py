"""How a generation failed: what is told when it is started again, and what whoever asked for it is told."""

from __future__ import annotations

from dataclasses import dataclass

from dewy.errors import HostError, StartError

__all__ = ["Failure", "NotUp", "goes_first"]


@dataclass(frozen=True, slots=True)
class Failure:
    """How a generation died or was not ready.

    Attributes:
        how: In words.
        number: Of the generation.
        version: Of the application.
        release: The release directory's name.
        code: Exit code, a signal being negative; None when there is none.
        pid: Of its leader, if it had one.
        uptime: Seconds from its start.
        output: The last lines it wrote.
    """

    how: str
    number: int
    version: str
    release: str
    code: int | None = None
    pid: int | None = None
    uptime: float = 0.0
    output: tuple[str, ...] = ()


class NotUp(Exception):
    """A generation did not come up.

    Args:
        error: What whoever asked is told.
        failure: What is told when it is tried again.
    """

    def __init__(self, error: StartError | HostError, failure: Failure) -> None:
        super().__init__(error)
        self.error, self.failure = error, failure


def goes_first() -> HostError:
    """Why a candidate is given up that has done nothing wrong."""
    return HostError("what serves has died meanwhile, and is started again first")
