"""The deployer's loop: poll, decide, deploy, wait. In a thread of its own, plain synchronous code."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from dewy import events
from dewy.backoff import backoff, jittered, retry_after
from dewy.decide import Deploy, decide
from dewy.deployment import DeploymentFailed, Pipeline, recover, take_up
from dewy.errors import DewyError, ReleasePending, StartError, as_dewy_error
from dewy.guard import CallTimedOut
from dewy.host import detect_platform
from dewy.operators.inbox import Inbox
from dewy.operators.operations import Operations
from dewy.operators.overview import PollFacts
from dewy.runtime import Runtime
from dewy.scope import within
from dewy.types import Registry, Release, Report
from dewy.waker import Interrupted, Stopping

__all__ = ["Deployer", "RegistryClient"]

T = TypeVar("T")

_REGISTRY_LIMIT = 120.0
"""Seconds that a registry may take for one answer or report, its own retries included."""
_MOST_WAIT = 300.0
"""Seconds between tries at most, however often something has failed (R30)."""


class RegistryClient:
    """The registry, asked through the guard; opened anew after it has hung."""

    def __init__(self, runtime: Runtime, open_registry: Callable[[], Registry]) -> None:
        self._guard = runtime.guard
        self._plugin = str(runtime.plugins.find("registry", runtime.settings.registry).plugin)
        self._open, self._registry = open_registry, open_registry()
        self._platform = detect_platform()

    def current(self) -> Release:
        """What this host should run. Raises DewyError."""
        return self._call("asking for the newest version", lambda registry: registry.current(self._platform))

    def report(self, report: Report) -> None:
        """Tells the registry how a deployment ended. Raises DewyError."""
        self._call("reporting a deployment", lambda registry: registry.report(report))

    def _call(self, what: str, call: Callable[[Registry], T]) -> T:
        registry = self._registry
        try:
            return self._guard.call(self._plugin, what, lambda: call(registry), limit=_REGISTRY_LIMIT)
        except (CallTimedOut, Interrupted):
            self._registry = self._open()  # the call that was left behind still uses the old one
            raise


@dataclass(slots=True)
class _Trouble:
    """A release that has failed here: how often, and when it may be tried again (monotonic)."""

    release: Release
    failures: int = 0
    retry_at: float = 0.0


class Deployer:
    """Keeps one application at the version its registry offers.

    Attributes:
        pipeline: How it deploys, and what it knows of this host.
        inbox: What operators ask of it.
        operations: What it does for them.
        last_poll: How the registry was last asked; None before that. For any thread.
    """

    def __init__(self, runtime: Runtime, registry: RegistryClient, pipeline: Pipeline) -> None:
        self._interval = runtime.settings.interval
        self._waker, self._emit = runtime.waker, runtime.emit
        self._registry, self.pipeline = registry, pipeline
        self.inbox = Inbox(runtime.waker)
        self.operations = Operations(pipeline.stage, pipeline.rollback, runtime.emit)
        self.last_poll: PollFacts | None = None
        self._poll_failures = 0
        self._trouble: _Trouble | None = None
        self._does = "starting"
        self._parked = False

    @property
    def activity(self) -> str:
        """What it is busy with, in a few words. For any thread."""
        attempt = self.pipeline.under_way
        return f"deploying {attempt.release.version} ({attempt.phase})" if attempt else self._does

    def run(self) -> None:
        """Runs what is there, then keeps it at the newest version, until dewy stops."""
        step, self._parked = self._boot, False
        try:
            while True:
                with contextlib.suppress(Interrupted):
                    wait, done = self._guarded(step)
                    if done:
                        step = self._poll
                    self._does = "waiting for the next poll"
                    self._waker.sleep(wait)
                self._serve()
                if self._parked:
                    return
        except Stopping:
            return
        finally:
            self.inbox.refuse()

    def park(self) -> None:
        """Ends the loop, where it may be ended: to be asked for by the inbox."""
        self._parked = True

    def _serve(self) -> None:
        """Does what operators have asked for; the next poll follows at once."""
        self._does = "doing what an operator has asked for"
        if self.inbox.serve():
            self._trouble = None  # a hold that is lifted means: try it now

    def _guarded(self, step: Callable[[], float]) -> tuple[float, bool]:
        """Takes one step: the seconds to wait after it, and whether it was done.

        A fault of ours ends neither the loop nor the service.
        """
        try:
            return step(), True
        except (DewyError, OSError) as error:  # the disk, say: no fault of ours
            self._emit(events.DISK_FAILED, error=str(as_dewy_error(error, self.activity)))
            return jittered(self._interval), False
        except Exception as error:
            wait = jittered(min(_MOST_WAIT, 6 * self._interval))
            self._emit(
                events.DEWY_FAULT,
                error=f"{type(error).__name__}: {error}", retry_seconds=round(wait), traceback=traceback.format_exc(),
            )  # fmt: skip
            return wait, False

    def _boot(self) -> float:
        # one that does not start: the supervisor says so and keeps trying; a newer version may mend it
        with contextlib.suppress(StartError), within(cause="start of dewy"):
            recover(self.pipeline)
        current = self.pipeline.state.current
        self._emit(events.DEWY_READY, version=current.version if current else "nothing yet")
        return 0.0

    def _poll(self) -> float:
        """Asks the registry once and does what follows; the seconds until the next time."""
        self._remember()
        take_up(self.pipeline)
        if self.pipeline.state.pending and not self.pipeline.bakes:
            return jittered(self._interval)  # another deployment would have it forgotten
        if self.pipeline.bakes:
            with within(cause="registry"):
                self._deploy(self.pipeline.go_on)
        self._does = "asking the registry"
        began = self._waker.monotonic()
        try:
            self._follow_rollbacks()
            with self._waker.interruptible():
                release = self._registry.current()
        except ReleasePending as pending:
            self._answered(f"nothing to deploy yet: {pending}")
            self._emit(events.REGISTRY_PENDING, reason=str(pending))
            return jittered(self._interval)
        except (DewyError, OSError) as error:
            return self._unanswered(error)
        with within(cause="registry"):
            return self._consider(release, round(self._waker.monotonic() - began, 3))

    def _follow_rollbacks(self) -> None:
        """Has hooks and the registry know what operators have done: they need not wait for that themselves."""
        while self.operations.unfollowed:
            self.pipeline.aftermath.follow_rollback(self.operations.unfollowed.pop(0))

    def _remember(self) -> None:
        """Writes what could not be written before, and what the supervisor has learnt."""
        keeper, application = self.pipeline.stage.keeper, self.pipeline.application
        keeper.catch_up()
        if application and application.speaks_notify() and not keeper.state.speaks_notify:
            keeper.keep(replace(keeper.state, speaks_notify=True))

    def _answered(self, answer: str) -> None:
        self.last_poll = PollFacts(at=datetime.now(UTC), answer=answer)
        if self._poll_failures:
            self._emit(events.REGISTRY_RECOVERED, failures=self._poll_failures)
            self._poll_failures = 0

    def _unanswered(self, error: DewyError | OSError) -> float:
        self._poll_failures += 1
        self.last_poll = PollFacts(at=datetime.now(UTC), answer=str(error), failures=self._poll_failures)
        wait = max(backoff(self._poll_failures, first=2 * self._interval, most=_MOST_WAIT), retry_after(error))
        current = self.pipeline.state.current
        self._emit(
            events.REGISTRY_FAILED,
            failures=self._poll_failures, error=str(error), retry_seconds=round(wait, 1),
            keeps=self.pipeline.aftermath.keeps(), version=current.version if current else "",
        )  # fmt: skip
        return wait

    def _consider(self, release: Release, seconds: float) -> float:
        decision = decide(release, self.pipeline.state, retry_in=self._retry_in(release))
        does = "deploy" if isinstance(decision, Deploy) else "skip"
        self._answered(f"{release.version}: {does}, {decision.reason}")
        self._emit(
            events.REGISTRY_POLLED,
            version=release.version, decision=f"{does}, {decision.reason}", artifact=release.artifact, seconds=seconds,
        )  # fmt: skip
        if isinstance(decision, Deploy):
            self._deploy(lambda: self.pipeline.deploy(release, decision.reason))
        return jittered(self._interval)

    def _deploy(self, deploy: Callable[[], None]) -> None:
        try:
            deploy()
        except DeploymentFailed as failure:
            self.pipeline.aftermath.tell_failure(failure, self._delay(failure.attempt.release, failure))
        else:
            self._trouble = None

    def _retry_in(self, release: Release) -> float:
        trouble = self._trouble
        return trouble.retry_at - self._waker.monotonic() if trouble and _same(trouble.release, release) else 0.0

    def _delay(self, release: Release, failure: DeploymentFailed) -> float:
        """Notes that a release has failed; the seconds until it may be tried again."""
        trouble = self._trouble if self._trouble and _same(self._trouble.release, release) else _Trouble(release)
        trouble.failures += 1
        wait = max(backoff(trouble.failures, first=2 * self._interval, most=_MOST_WAIT), retry_after(failure))
        trouble.retry_at = self._waker.monotonic() + wait
        self._trouble = trouble
        return wait


def _same(one: Release, other: Release) -> bool:
    """Whether two answers offer the same bytes; their URLs may be signed anew each time."""
    return (one.version, one.artifact, one.digests, one.fingerprint) == (
        other.version, other.artifact, other.digests, other.fingerprint,
    )  # fmt: skip
