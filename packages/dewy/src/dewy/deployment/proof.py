"""Whether a version is any good: a preflight before it takes over, the swap itself, and a watch over it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from dewy.deployment.application import Application, Candidate
from dewy.durations import format_duration
from dewy.errors import DewyError, StartError
from dewy.health import HealthCheck, HostBlame, health_check
from dewy.runtime import Runtime
from dewy.state import Deployed
from dewy.supervisor.failure import goes_first

__all__ = ["Proof"]

_BETWEEN_TRIES = 0.2
_BETWEEN_LOOKS = 1.0
"""Seconds between two health checks: of a version that is not healthy yet, and of one that is."""
_CLOSELY = 0.1
"""Seconds between two looks at whether a version still runs while it bakes."""
_MOST_FAILURES = 3
"""Health checks in a row that a version which was healthy may fail while it bakes."""


class Proof:
    """Proves versions of an application.

    Args:
        runtime: What the parts of dewy share.
        application: The process.
    """

    def __init__(self, runtime: Runtime, application: Application) -> None:
        self._settings, self._waker = runtime.settings, runtime.waker
        self._application = application
        self._health = health_check(runtime)
        self._blame = HostBlame(runtime.settings.root)

    # ------------------------------------------------------------------------------------------------ before the swap

    def preflight(self, release: Deployed) -> None:
        """Starts a version on private sockets and waits until it is healthy there; nothing where no health is checked.

        Raises:
            StartError: It does not start, or is not healthy in time.
            HostError: This host is to blame; or what serves has died meanwhile, and goes first.
        """
        if self._health is None or not self._settings.preflight:
            return
        self._blame.look()
        try:
            with self._application.preflight(release) as candidate:
                self._until_healthy(self._health, release, candidate)
        except StartError as error:
            raise self._blame.judge(error) from error

    def _until_healthy(self, health: HealthCheck, release: Deployed, candidate: Candidate) -> None:
        deadline = self._waker.monotonic() + self._settings.health_timeout

        def check() -> DewyError | None:
            if self._application.comes_back():
                return goes_first()
            return candidate.ended()

        while problem := health.problem(release, candidate.addresses, check):
            if self._waker.monotonic() >= deadline:
                raise self._unhealthy(release, problem, candidate.output())
            self._waker.pause(_BETWEEN_TRIES)

    def _unhealthy(self, release: Deployed, problem: str, output: tuple[str, ...] = ()) -> StartError:
        return StartError(
            f"{release.version} is not healthy: it {problem}",
            f"It has {format_duration(self._settings.health_timeout)} to become so: --health-timeout",
            output=output,
        )

    # ------------------------------------------------------------------------------------------- the swap, and after it

    def begin(self) -> int:
        """To be called before a version is started: from here on its failures count."""
        self._blame.look()
        return self._application.starts()

    def swap(self, release: Deployed, *, gives_way: bool = False) -> None:
        """Runs a version in place of the present one.

        Args:
            release: The version.
            gives_way: Whether the present one goes first if it dies meanwhile: then there is nothing wrong with it.

        Raises:
            StartError: It does not start; the present one serves on.
            HostError: As StartError, and this host is to blame; or the present one has died and goes first.
        """
        try:
            self._application.swap(release, gives_way=gives_way)
        except StartError as error:
            raise self._blame.judge(error) from error

    def switching(self) -> AbstractContextManager[None]:
        """In the block what ran before is not started again. May be nested."""
        return self._application.switching()

    def bake(self, release: Deployed, since: int, *, at_once: bool = False) -> bool | None:
        """Watches a version that has taken over; whether it says when it is ready, or None where nobody knows.

        Args:
            release: The version.
            since: What :meth:`begin` has said.
            at_once: Nothing goes first.

        Raises:
            StartError: It has died, or is not healthy.
            HostError: As StartError, and this host is to blame.
            Interrupted: An operator's command goes first; watching goes on afterwards.
        """
        try:
            with nullcontext() if at_once else self._waker.interruptible():
                self._watch(release, lambda: self._application.failure_since(since, release))
        except StartError as error:
            raise self._blame.judge(error) from error
        return self._application.says_ready()

    def _watch(self, release: Deployed, died: Callable[[], StartError | None]) -> None:
        settings, health = self._settings, self._health
        began = self._waker.monotonic()
        watch = _Watch(began + settings.bake_time, began + settings.health_timeout, healthy=health is None)
        while True:
            if error := died():
                raise error
            if health and (problem := health.problem(release, self._application.addresses, died)):
                if watch.fails(self._waker.monotonic()):
                    raise self._unhealthy(release, problem)
            elif self._application.is_alone() or self._waker.monotonic() >= watch.until:
                watch.succeeds()  # while an older process finishes, the answer may have been that one's
            if watch.over(self._waker.monotonic()):
                return
            self._pause(died, min(_BETWEEN_LOOKS, max(_CLOSELY, watch.until - self._waker.monotonic())))

    def _pause(self, died: Callable[[], StartError | None], seconds: float) -> None:
        deadline = self._waker.monotonic() + seconds
        while (left := deadline - self._waker.monotonic()) > 0 and not died():
            self._waker.wait_for(lambda: False, min(_CLOSELY, left))


class _Watch:
    """How the health of a version goes on while it bakes.

    Args:
        until: When baking is over. Monotonic.
        deadline: When it must have been healthy for the first time. Monotonic.
        healthy: Whether it counts as healthy from the start.
    """

    def __init__(self, until: float, deadline: float, *, healthy: bool) -> None:
        self.until, self._deadline, self._healthy = until, deadline, healthy
        self._failures = 0

    def succeeds(self) -> None:
        """It is healthy."""
        self._healthy, self._failures = True, 0

    def fails(self, now: float) -> bool:
        """It is not; whether it is given up."""
        self._failures += 1
        return self._failures >= _MOST_FAILURES if self._healthy else now >= self._deadline

    def over(self, now: float) -> bool:
        """Whether it is proven."""
        return now >= self.until and self._healthy and not self._failures
