"""What runs, as others may know it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dewy.supervisor.failure import Failure

__all__ = ["GenerationState", "GenerationStatus", "Status", "SupervisorState"]

GenerationState = Literal["starting", "ready", "stopping"]
SupervisorState = Literal["idle", "starting", "running", "waiting", "stopping", "stopped"]
"""``waiting``: the application has died and is started again when its back-off is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStatus:
    """One run of the application.

    Attributes:
        number: ``SERVER_STARTER_GENERATION``.
        pid: Of the leader of its process group.
        version: Of the application.
        release: The release directory's name.
        state: Where it is in its life.
        since: When it was started, UTC.
        text: What it last said of itself (``STATUS=``), or empty.
        says_ready: Whether it has said ``READY=1``.
    """

    number: int
    pid: int
    version: str
    release: str
    state: GenerationState
    since: datetime
    text: str
    says_ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the supervisor does.

    Attributes:
        state: In one word.
        current: The generation that serves; None while there is none.
        generations: All whose processes are alive, oldest first.
        crashes: How often in a row the application has died.
        starts: How many generations have been started so far.
        last_failure: How it last died, or was not ready when it was started again; None while it never did.
        comes_back: Whether what served has died and is to be started again before anything else.
    """

    state: SupervisorState
    current: GenerationStatus | None
    generations: tuple[GenerationStatus, ...]
    crashes: int
    starts: int = 0
    last_failure: Failure | None = None
    comes_back: bool = False
