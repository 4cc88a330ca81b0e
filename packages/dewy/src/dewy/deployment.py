"""The deployment, on one page: from a release that is wanted to a release that runs.

fetch → verify → before-hooks → unpack → switch ``current`` → swap the process → after-hooks → report → prune

What is about to happen is written into the state before it happens, so that a dewy which is killed knows where it was;
:mod:`dewy.recovery` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from dewy import events
from dewy.archive import Limits, unpack
from dewy.errors import ArtifactError, DewyError, StartError, as_dewy_error, from_os_error
from dewy.fetch import Fetched, Fetcher
from dewy.files import sweep
from dewy.hooks import DeployHooks
from dewy.host import host_name
from dewy.releases import ReleaseDirectories
from dewy.runtime import Runtime
from dewy.scope import within
from dewy.state import Deployed, Held, Pending, Phase, State
from dewy.statefile import StateKeeper, state_file
from dewy.types import Deployment, Outcome, Release, Report, Result
from dewy.urls import redact_url

__all__ = ["Application", "DeploymentFailed", "Pipeline"]


class Application(Protocol):
    """The supervisor as a deployment sees it; ``dewy assets`` has none.

    A verb returns when it is done, and raises StartError when what was to be started is not ready.
    """

    def start(self, release: Deployed) -> None:
        """Keeps a release running from now on: it is started again and again, also when this raises."""

    def swap(self, release: Deployed) -> None:
        """Runs a release in place of the present one, which serves until the new one is ready, or on if it never is."""

    def running(self) -> Collection[str]:
        """The release directories of all processes that still run, by name."""

    def speaks_notify(self) -> bool:
        """Whether the application has been seen to say when it is ready (sd_notify)."""


class DeploymentFailed(DewyError):
    """A deployment did not come to its end, and everything is as it was before. Says in which phase.

    Args:
        phase: ``fetch``, ``before``, ``unpack``, ``switch`` or ``start``.
        cause: What went wrong.
        held: Whether the version is on hold from now on.
        seconds: How long the deployment took to fail.
        deployment: What was to be.
    """

    def __init__(self, phase: str, cause: DewyError, *, held: bool, seconds: float, deployment: Deployment) -> None:
        super().__init__(cause.message, cause.hint)
        self.phase, self.cause, self.held, self.seconds, self.deployment = phase, cause, held, seconds, deployment


@dataclass(slots=True)
class _Attempt:
    """One deployment under way."""

    release: Release
    deployment: Deployment
    previous: Deployed | None
    began: float
    phase: str = "fetch"

    def scope(self) -> AbstractContextManager[None]:
        """Has all that is said meanwhile belong to this deployment."""
        return within(deployment=self.deployment.directory.name, previous_version=self.deployment.previous_version)

    def deployed(self, at: datetime) -> Deployed:
        return Deployed(
            version=self.release.version,
            artifact=self.release.artifact,
            url=redact_url(self.release.url, None),
            digest=self.deployment.digest,
            directory=self.deployment.directory.name,
            at=at.isoformat(timespec="seconds"),
            fingerprint=self.release.fingerprint,
            id=self.release.id,
        )


class Pipeline:
    """Deploys one release after another. Everything that changes on disk is changed from the deployer's thread.

    Attributes:
        application: What is deployed, if it is a process.
        releases: The release directories.
        keeper: The state.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        fetcher: Fetcher,
        application: Application | None,
        report: Callable[[Report], None],
        state: State,
    ) -> None:
        self._settings, self._emit, self._waker = runtime.settings, runtime.emit, runtime.waker
        self.application, self._fetcher, self._report = application, fetcher, report
        self._hooks, self._host = DeployHooks(runtime), host_name()
        self.releases = ReleaseDirectories(runtime.settings.root)
        self.keeper = StateKeeper(state_file(runtime), state, runtime.emit)

    @property
    def state(self) -> State:
        """What is known of this host."""
        return self.keeper.state

    # ------------------------------------------------------------------------------------------- one deployment

    def deploy(self, release: Release, reason: str) -> None:
        """Deploys a release. Raises DeploymentFailed; the version that ran before then serves on."""
        attempt = self._attempt(release, self.releases.new_name(_now()))
        with attempt.scope():
            self._tell_start(attempt, reason)
            try:
                self._carry_out(attempt)
            except Exception as error:
                # also a fault of ours must leave everything as it was
                raise self._fail(attempt, error) from error

    def _carry_out(self, attempt: _Attempt) -> None:
        with self._fetcher.fetch(attempt.release) as fetched:
            if self._is_what_runs(attempt, fetched):
                return
            attempt.deployment = replace(attempt.deployment, digest=fetched.digest)
            self._notice_other_bytes(attempt, fetched)
            attempt.phase = "before"
            self._hooks.ask(attempt.deployment)
            attempt.phase = "unpack"
            self._unpack(attempt, fetched)
        attempt.phase = "switch"
        self._switch(attempt)
        attempt.phase = "start"
        if self.application:
            self.application.swap(attempt.deployed(_now()))
        self._finish(attempt)

    def resume(self, deployed: Deployed) -> None:
        """Takes up a deployment in which dewy was killed when ``current`` was switched, and nobody knew if it runs.

        Raises DeploymentFailed; ``current`` then leads to the version before, which is not started yet.
        """
        release = Release(
            version=deployed.version, artifact=deployed.artifact, url=deployed.url,
            digests=(deployed.digest,), fingerprint=deployed.fingerprint, id=deployed.id,
        )  # fmt: skip
        attempt = self._attempt(release, deployed.directory, deployed.digest)
        attempt.phase = "start"
        with attempt.scope():
            self._emit(events.DEPLOYMENT_RESUMED, version=deployed.version, phase="switching")
            try:
                if self.application:
                    self.application.swap(deployed)
                self._finish(attempt)
            except Exception as error:
                raise self._fail(attempt, error) from error

    def _tell_start(self, attempt: _Attempt, reason: str) -> None:
        release = attempt.release
        self._emit(
            events.DEPLOYMENT_STARTED,
            version=release.version, previous_version=attempt.deployment.previous_version or "nothing",
            artifact=release.artifact, reason=reason, directory=attempt.deployment.directory.name,
        )  # fmt: skip

    def _attempt(self, release: Release, directory: str, digest: str = "") -> _Attempt:
        previous = self.state.current
        deployment = Deployment(
            version=release.version,
            previous_version=previous.version if previous else "",
            artifact=release.artifact,
            digest=digest,
            directory=self.releases.path(directory),
            root=self._settings.root,
            command=self._settings.command,
        )
        return _Attempt(release, deployment, previous, self._waker.monotonic())

    def _is_what_runs(self, attempt: _Attempt, fetched: Fetched) -> bool:
        """Whether the same version was only published again: then the new listing is remembered, and that is all."""
        current, release = self.state.current, attempt.release
        if current is None or (current.version, current.digest) != (release.version, fetched.digest):
            return False
        self.keeper.save(replace(self.state, current=replace(current, fingerprint=release.fingerprint)))
        self._emit(events.ARTIFACT_UNCHANGED, version=release.version, artifact=release.artifact)
        return True

    def _notice_other_bytes(self, attempt: _Attempt, fetched: Fetched) -> None:
        """A version whose bytes have changed is refused where digests are required, else deployed with a warning."""
        current, release = attempt.previous, attempt.release
        if current is None or current.version != release.version or not current.digest:
            return
        if self._settings.verify == "required":
            raise ArtifactError(
                f"{release.artifact} of {release.version} is not what was deployed under that version: "
                f"{fetched.digest} in place of {current.digest}",
                "Publish it as a new version",
            )
        self._emit(
            events.ARTIFACT_CHANGED,
            version=release.version, artifact=release.artifact, digest=fetched.digest, previous_digest=current.digest,
        )  # fmt: skip

    def _unpack(self, attempt: _Attempt, fetched: Fetched) -> None:
        settings, name = self._settings, attempt.deployment.directory.name
        limits = Limits(max_bytes=settings.max_size, max_members=settings.max_members)
        began = self._waker.monotonic()
        with self.releases.incoming(name) as incoming:
            unpacked = unpack(fetched.path, attempt.release.artifact, incoming, limits)
        self._emit(
            events.RELEASE_UNPACKED,
            version=attempt.release.version, directory=name, members=unpacked.members, seconds=self._since(began),
        )  # fmt: skip

    def _switch(self, attempt: _Attempt) -> None:
        self.keeper.save(replace(self.state, pending=Pending(deployed=attempt.deployed(_now()), phase="switching")))
        self._point_current_at(attempt.deployment.directory.name, attempt.release.version)

    def _finish(self, attempt: _Attempt) -> None:
        """The release runs: from here on nothing can fail the deployment."""
        deployed = attempt.deployed(_now())
        self._note(self.state.deployed(deployed), "finishing", deployed)
        seconds = self._since(attempt.began)
        self._emit(
            events.DEPLOYMENT_DONE,
            version=deployed.version, previous_version=attempt.deployment.previous_version or "nothing", seconds=seconds,
            artifact=deployed.artifact, digest=deployed.digest, directory=deployed.directory,
        )  # fmt: skip
        self._hooks.follow(attempt.deployment, Result("deployed", seconds))
        self._tell_registry(attempt, None)
        self.keeper.keep(replace(self.state, pending=None))
        self.prune()

    # ------------------------------------------------------------------------------------------------- when it fails

    def _fail(self, attempt: _Attempt, error: Exception) -> DeploymentFailed:
        """Everything back as it was; the version is held if it is its own fault that it does not start."""
        cause = as_dewy_error(error, f"deploying {attempt.release.version}")
        # a first version is not held: there is nothing better to serve, and its surroundings may come up yet
        held = isinstance(cause, StartError) and attempt.previous is not None
        if held:
            self._hold(attempt, str(cause))
        self.revert(attempt.deployed(_now()), attempt.previous)
        failure = DeploymentFailed(
            attempt.phase, cause, held=held, seconds=self._since(attempt.began), deployment=attempt.deployment
        )  # fmt: skip
        outcome: Outcome = "vetoed" if attempt.phase == "before" else "failed"
        self._hooks.follow(attempt.deployment, Result(outcome, failure.seconds, str(cause)))
        self._tell_registry(attempt, str(cause))
        return failure

    def _hold(self, attempt: _Attempt, reason: str) -> None:
        release, digest = attempt.release, attempt.deployment.digest
        held = Held(
            version=release.version, digest=digest, fingerprint=release.fingerprint, reason=reason,
            at=_now().isoformat(timespec="seconds"),
        )  # fmt: skip
        self._note(self.state.hold(held), "failed", attempt.deployed(_now()))
        self._emit(events.VERSION_HELD, version=release.version, reason=reason, digest=digest)

    def revert(self, failed: Deployed, previous: Deployed | None) -> None:
        """``current`` leads to the version before again, and the failed release is gone."""
        try:
            if self.releases.current() == failed.directory:
                self.releases.switch(previous.directory if previous else None)
                if previous:
                    self._emit(events.RELEASE_REVERTED, version=previous.version, directory=previous.directory)
            self.releases.remove(failed.directory)
        except OSError as error:
            # the state still says that this is to be done; the next start does it
            self._emit(events.RELEASES_UNTIDY, error=str(from_os_error(error, "going back to the version before")))
            return
        self.keeper.keep(replace(self.state, pending=None))

    # ---------------------------------------------------------------------------------------- before and in between

    def prepare(self) -> None:
        """Makes the directories and takes away what a killed dewy left. Raises DewyError when it cannot."""
        try:
            self._settings.state_directory.mkdir(mode=0o700, exist_ok=True)
            sweep(self._settings.state_directory)
            self.releases.prepare()
            self._fetcher.prepare()
        except OSError as error:
            raise from_os_error(error, f"preparing {self._settings.root}") from error

    def prune(self) -> None:
        """Removes releases beyond those that are kept, and tells the cache which artifacts are needed (R70, R45)."""
        running = self.application.running() if self.application else ()
        try:
            for name in self.releases.old(self._settings.keep_releases, running):
                self.releases.remove(name)
                self._emit(events.RELEASE_REMOVED, directory=name)
        except OSError as error:
            self._emit(events.RELEASES_UNTIDY, error=str(from_os_error(error, "removing old releases")))
        kept = tuple(release for release in self.state.releases if self.releases.path(release.directory).is_dir())
        if kept != self.state.releases:
            self.keeper.keep(replace(self.state, releases=kept))
        self._fetcher.pin(kept)

    # ----------------------------------------------------------------------------------------------------- what is told

    def tell_failure(self, version: str, failure: DeploymentFailed, retry_seconds: float | None = None) -> None:
        """Says that a deployment has failed, what serves now, and what comes next."""
        current, cause = self.state.current, failure.cause
        output = "\n".join(cause.output) if isinstance(cause, StartError) else ""
        retry = "it is tried again" if retry_seconds is None else f"it is tried again in {retry_seconds:.0f}s"
        with within(deployment=failure.deployment.directory.name):
            self._emit(
                events.DEPLOYMENT_FAILED,
                version=version, error=str(failure), phase=failure.phase, seconds=failure.seconds, output=output,
                previous_version=current.version if current else "",
                keeps=f"{current.version} runs on" if current else "nothing runs",
                next="it is on hold until the registry offers another" if failure.held else retry,
            )  # fmt: skip

    def _tell_registry(self, attempt: _Attempt, error: str | None) -> None:
        digest = (attempt.deployment.digest,) if attempt.deployment.digest else ()
        digests = tuple(dict.fromkeys((*digest, *attempt.release.digests)))
        release = replace(attempt.release, digests=digests)
        report = Report(release=release, command=self._settings.command, host=self._host, at=_now(), error=error)
        try:
            self._report(report)
        except (DewyError, OSError) as problem:
            self._emit(events.REPORT_FAILED, version=release.version, error=str(problem))
        else:
            self._emit(events.REPORT_DONE, version=release.version)

    def _point_current_at(self, name: str, version: str) -> None:
        self.releases.switch(name)
        self._emit(events.RELEASE_SWITCHED, version=version, directory=name)

    def _note(self, state: State, phase: Phase, deployed: Deployed) -> None:
        """Goes on with a state in which a deployment has come so far."""
        self.keeper.keep(replace(state, pending=Pending(deployed=deployed, phase=phase)))

    def _since(self, began: float) -> float:
        return round(self._waker.monotonic() - began, 3)


def _now() -> datetime:
    return datetime.now(UTC)
