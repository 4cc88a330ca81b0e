"""How long the supervisor waits for what. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from dewy.settings import ReadyMode

__all__ = ["SupervisorSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """The supervisor's settings. Times are in seconds.

    Attributes:
        ready: How readiness is told: see :mod:`dewy.supervisor.readiness`.
        start_grace: How long an application that says nothing must stay up to count as ready.
        start_timeout: How long one that says when it is ready may take.
        start_limit: How far ``EXTEND_TIMEOUT_USEC`` may put that off, counted from the start.
        stop_timeout: From SIGTERM to SIGKILL, for a generation that was ready.
        failed_grace: The same for one that never was: it may have connections in flight, but no claim to a long drain.
        group_grace: The same for what a dead leader leaves behind in its process group.
        kill_grace: How long after SIGKILL a process is waited for before it is given up (it hangs in the kernel).
        output_grace: How long after an exit the end of the output is waited for.
        backoff_first: The shortest wait before a crashed application is started again (R83).
        backoff_most: The longest.
        stable_after: How long a generation must be ready for earlier crashes to be forgotten.
        most_starts: How many times a crashed application is started at most ...
        starts_window: ... in this time.
    """

    ready: ReadyMode = "auto"
    start_grace: float = 1.0
    start_timeout: float = 30.0
    start_limit: float = 600.0
    stop_timeout: float = 30.0
    failed_grace: float = 5.0
    group_grace: float = 5.0
    kill_grace: float = 5.0
    output_grace: float = 0.25
    backoff_first: float = 1.0
    backoff_most: float = 60.0
    stable_after: float = 60.0
    most_starts: int = 10
    starts_window: float = 60.0

    @property
    def start_bound(self) -> float:
        """How long a start may take whatever the application says."""
        return max(self.start_timeout, self.start_limit, self.start_grace)
