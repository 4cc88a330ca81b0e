"""Processes of a host that is simulated: what its applications, their health checks and its hooks do, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from deployments import Processes, Trial
from dewy.backoff import backoff
from dewy.errors import DewyError, HookError, StartError
from dewy.events import EventKind
from dewy.state import Deployed
from dewy.types import Deployment, FieldValue, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulated_host import Host

_SPOILT_AFTER = 3.0
_GOES_FIRST = 3


@dataclass(frozen=True, slots=True)
class Build:
    """One artifact that was published: what its bytes are, and how what is in it behaves.

    ``nature``: ``good``; ``broken``: it ends at once; ``spoilt``: it dies soon after it has taken over; ``sick``: it is
    never healthy; ``turning``: it is healthy until it takes over; ``thirsty``: it runs unless the disk is full.
    """

    version: str
    serial: str
    nature: str
    digest: str
    content: bytes = field(repr=False)


class Witness(Protocol):
    """Who is told what happens on the host."""

    def heard(self, kind: EventKind, fields: dict[str, FieldValue]) -> None:
        """dewy has said something."""

    def started(self, build: Build, how: str) -> None:
        """A process is started: by ``start``, ``swap`` or ``preflight``, or ``again`` after it has died."""

    def failed(self, build: Build) -> None:
        """A process has died, or has not started, or was not healthy when it was looked at."""

    def hooked(self, phase: str, deployment: Deployment) -> None:
        """A hook runs."""


class Applications(Processes):
    """The supervisor: runs what ``current`` leads to when it starts something, and starts again what dies."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._wanted: Deployed | None = None
        self._crashes = self._number = 0
        self.runs: Build | None = None
        self.tried: Build | None = None
        self.gone = False

    def start(self, release: Deployed) -> None:
        self._wanted = release
        try:
            self._run_as(release, "start")
        except StartError:
            self._later()
            raise

    def swap(self, release: Deployed, *, gives_way: bool = False) -> None:
        self._host.disk.step("swap")
        self._run_as(release, "swap")
        self._wanted, self._crashes = release, 0
        self._host.disk.step("swapped")

    @contextmanager
    def preflight(self, release: Deployed) -> Iterator[Trial]:
        self._host.disk.step("preflight")
        self.tried = self._launch(release, "preflight")
        try:
            yield Privately()
        finally:
            self.tried = None
        self._host.disk.step("end of preflight")

    def _run_as(self, release: Deployed, how: str) -> None:
        build = self._launch(release, how)
        self.serving, self.runs, self._number = release, build, self._starts
        number = self._number

        def spoil() -> None:
            if number == self._number:
                self.crash()

        if build.nature == "spoilt":
            self._host.clock.later(_SPOILT_AFTER, spoil)

    def _launch(self, release: Deployed, how: str) -> Build:
        self._starts += 1
        build = self._host.current_build()
        if build is None:
            raise StartError("there is no ./current/app", code=127)
        if release.directory != self._host.current_name():
            self._host.blame(f"{how}: {release.directory} is to run, and current leads to {self._host.current_name()}")
        self._host.witness.started(build, how)
        if build.nature == "broken" or (build.nature == "thirsty" and self._host.disk.full):
            self._host.witness.failed(build)
            raise StartError(f"{build.version} exited at once with status 1", output=("boom",), code=1)
        return build

    def crash(self) -> None:
        """What serves dies."""
        if self.serving and self.runs and not self.gone:
            self._host.witness.failed(self.runs)
            self.die(self.serving, StartError(f"{self.serving.version} died (exit status 3)", output=("oh",), code=3))
            self.runs = None
            self._later()

    def comes_back(self) -> bool:
        return self._wanted is not None and self.serving is None and not self.gone and self._crashes <= _GOES_FIRST

    def thirst(self) -> None:
        """The disk is full."""
        if self.runs and self.runs.nature == "thirsty":
            self.crash()

    def _later(self) -> None:
        self._crashes += 1
        self._host.clock.later(backoff(self._crashes, first=2.0, most=60.0), self._again)

    def _again(self) -> None:
        if self.gone or self.serving or self._wanted is None:
            return
        if self.is_switching:
            self._host.clock.later(1.0, self._again)
            return
        try:
            self._run_as(self._wanted, "again")
        except StartError as error:
            self._died = (self._starts, self._wanted.directory, error)
            self._later()


class Privately(Trial):
    """A version on private sockets."""


class Health:
    """What a health check finds."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def problem(self, _release: Deployed, _addresses: Any, check: Callable[[], DewyError | None]) -> str:
        if error := check():
            raise error
        applications = self._host.processes
        build = applications.tried or applications.runs
        if build is None:
            return "does not answer"
        if build.nature == "sick" or (build.nature == "turning" and not applications.tried):
            self._host.witness.failed(build)
            return "answers with 500"
        return ""


class Hooks:
    """The user's shell hooks."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def dewy_before_deploy(self, deployment: Deployment) -> None:
        self._run("before", deployment)
        if self._host.hooks_refuse:
            raise HookError("the before hook ended with status 1")

    def dewy_after_deploy(self, deployment: Deployment, result: Result) -> None:
        if phase := {"deployed": "after", "rolled_back": "rollback"}.get(result.outcome):
            self._run(phase, deployment)

    def _run(self, phase: str, deployment: Deployment) -> None:
        self._host.disk.step(phase)
        self._host.witness.hooked(phase, deployment)
        self._host.disk.step(f"end of {phase}")
