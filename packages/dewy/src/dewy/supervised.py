"""The application that ``dewy server`` deploys: the deployer's view of it, over the bridge to the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from dewy.errors import DewyError, HostError, StartError
from dewy.settings import Settings
from dewy.state import Deployed
from dewy.supervisor.launch import Launch
from dewy.supervisor.preflight import PREFLIGHT_VARIABLE
from dewy.waker import Stopping, Waker

if TYPE_CHECKING:
    from dewy.deployment.application import Candidate
    from dewy.supervisor.addresses import Address
    from dewy.supervisor.bridge import SupervisorBridge

__all__ = ["SupervisedApplication", "launch_of"]

T = TypeVar("T")

_SWITCH_MARGIN = 30.0
"""Seconds that a switch may take beyond the starts in it: a deployer that hangs longer than that is not waited for."""


class SupervisedApplication:
    """The :class:`dewy.deployment.Application` of a server."""

    def __init__(
        self, settings: Settings, bridge: SupervisorBridge, waker: Waker, addresses: Sequence[Address] = ()
    ) -> None:
        self._settings, self._bridge, self._waker = settings, bridge, waker
        self._addresses = addresses
        self._switches = 0
        self._switch_limit = 2 * settings.start_timeout + settings.health_timeout + _SWITCH_MARGIN

    def start(self, release: Deployed) -> None:
        """Keeps a release running from now on. Raises StartError or HostError when the first try fails."""
        self._asked(lambda: self._bridge.start(self._launch(release)))

    def swap(self, release: Deployed, *, gives_way: bool = False) -> None:
        """Runs a release in place of the present one. Raises StartError or HostError; the old one then serves on."""
        self._asked(lambda: self._bridge.swap(self._launch(release), gives_way=gives_way))

    @contextmanager
    def switching(self) -> Iterator[None]:
        """In the block ``current`` changes: what ran before is not started again meanwhile."""
        self._asked(lambda: self._bridge.unsettle(self._switch_limit))
        self._switches += 1
        try:
            yield
        finally:
            self._switches -= 1
            if not self._switches:
                self._bridge.settle()

    @contextmanager
    def preflight(self, release: Deployed) -> Iterator[Candidate]:
        """Runs a release on private sockets for the time of the block. Raises StartError or HostError."""
        candidate = self._asked(lambda: self._bridge.preflight(self._launch(release)))
        try:
            yield candidate
        finally:
            with suppress(DewyError):  # dewy is shutting down, and ends it with all others
                self._bridge.end_preflight(candidate, self._settings.stop_timeout)

    @property
    def addresses(self) -> Sequence[Address]:
        """What it listens on."""
        return self._addresses

    def comes_back(self) -> bool:
        """Whether what served has died and is started again before anything else."""
        return self._bridge.status.comes_back

    def is_alone(self) -> bool:
        """Whether no older process is still finishing."""
        return len(self._bridge.status.generations) <= 1

    def starts(self) -> int:
        """How many processes have been started so far."""
        return self._bridge.status.starts

    def failure_since(self, starts: int, release: Deployed) -> StartError | None:
        """How a release has died, in a process that was started after so many others; None if it has not."""
        failure = self._bridge.status.last_failure
        if failure is None or failure.number <= starts or failure.release != release.directory:
            return None
        return StartError(
            f"{failure.version} died ({failure.how}) {failure.uptime:.1f}s after it was started",
            output=failure.output,
            code=failure.code,
        )

    def says_ready(self) -> bool | None:
        """Whether the release that runs has said when it was ready; None where none runs."""
        current = self._bridge.status.current
        return current.says_ready if current else None

    def running(self) -> Collection[str]:
        """The release directories of all processes that still run, by name."""
        return {generation.release for generation in self._bridge.status.generations}

    def speaks_notify(self) -> bool:
        """Whether the application has been seen to say when it is ready."""
        return self._bridge.speaks_notify

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (StartError, HostError):
            raise
        except DewyError as error:
            if self._waker.stopped:
                # neither the version nor the deployment has failed: the next dewy goes on from here
                raise Stopping from error
            raise

    def _launch(self, release: Deployed) -> Launch:
        return launch_of(self._settings, release.version, release.directory, says_ready=release.says_ready)


def launch_of(settings: Settings, version: str, directory: str, *, says_ready: bool | None) -> Launch:
    """What to start for a release."""
    told = {"DEWY_VERSION": version, "DEWY_RELEASE_DIR": str(settings.root / "releases" / directory)}
    # the candidate alone has it, also where `--preflight` was given by its environment variable, which is the same
    inherited = {name: value for name, value in settings.environ.items() if name != PREFLIGHT_VARIABLE}
    return Launch(
        argv=settings.argv,
        directory=settings.root,
        environ={**inherited, **told},
        version=version,
        release=directory,
        says_ready=says_ready,
    )
