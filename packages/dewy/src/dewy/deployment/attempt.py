"""One deployment under way: what it is, how far it has come, and how long each phase took."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from dewy.errors import DewyError
from dewy.scope import within
from dewy.state import Deployed
from dewy.types import Deployment, Release
from dewy.urls import redact_url

__all__ = ["Attempt", "DeploymentFailed"]


class DeploymentFailed(DewyError):
    """A deployment did not come to its end, and everything is as it was before. Says in which phase.

    Args:
        phase: ``fetch``, ``before``, ``unpack``, ``switch``, ``preflight``, ``start`` or ``bake``.
        cause: What went wrong.
        held: Whether the version is on hold from now on.
        attempt: What was to be.

    Attributes:
        durations: How long each phase took.
    """

    def __init__(self, phase: str, cause: DewyError, *, held: bool, attempt: Attempt) -> None:
        super().__init__(cause.message, cause.hint)
        self.phase, self.cause, self.held, self.attempt = phase, cause, held, attempt
        self.durations = attempt.durations()


class Attempt:
    """One deployment.

    Args:
        release: What the registry offers.
        deployment: What hooks are told of it; replaced when more is known.
        previous: What ran before it.
        monotonic: The clock, in seconds.

    Attributes:
        phase: Where it is: ``fetch``, ``before``, ``unpack``, ``switch``, ``preflight``, ``start`` or ``bake``.
        cause: Why it was undone, if it was.
        held: Whether its version was put on hold for it.
        says_ready: Whether the version says when it is ready, as far as it is known.
        since: What tells failures of this version from those of others: see :meth:`Proof.begin`.
    """

    def __init__(
        self, release: Release, deployment: Deployment, previous: Deployed | None, monotonic: Callable[[], float]
    ) -> None:
        self.release, self.deployment, self.previous = release, deployment, previous
        self._monotonic = monotonic
        self._began = self._phase_began = monotonic()
        self._durations: dict[str, float] = {}
        self.phase = "fetch"
        self.cause: DewyError | None = None
        self.held = False
        self.since = 0
        self.says_ready: bool | None = None

    def enter(self, phase: str) -> None:
        """Goes on to the next phase."""
        self._end_phase()
        self.phase = phase

    def durations(self) -> dict[str, float]:
        """Seconds that each phase has taken so far, under the names of ``events.PHASE_SECONDS``."""
        self._end_phase()
        return dict(self._durations)

    @property
    def seconds(self) -> float:
        """Since its beginning."""
        return round(self._monotonic() - self._began, 3)

    def scope(self) -> AbstractContextManager[None]:
        """Has all that is said meanwhile belong to this deployment."""
        return within(deployment=self.deployment.directory.name, previous_version=self.deployment.previous_version)

    def deployed(self, at: datetime) -> Deployed:
        """What it will be when it is done."""
        return Deployed(
            version=self.release.version,
            artifact=self.release.artifact,
            url=redact_url(self.release.url, None),
            digest=self.deployment.digest,
            directory=self.deployment.directory.name,
            at=at.isoformat(timespec="seconds"),
            fingerprint=self.release.fingerprint,
            id=self.release.id,
            says_ready=self.says_ready,
        )

    def _end_phase(self) -> None:
        now, name = self._monotonic(), f"{self.phase}_seconds"
        self._durations[name] = round(self._durations.get(name, 0.0) + now - self._phase_began, 3)
        self._phase_began = now
