"""The deployment, on one page: from a release that is wanted to a release that runs.

fetch → verify → before-hooks → unpack → switch ``current`` → preflight → swap the process → bake → after-hooks → report →
prune

What is about to happen is written into the state before it happens, so that a dewy which is killed knows where it was;
:mod:`dewy.deployment.recovery` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

from dewy import events
from dewy.archive import Limits, unpack
from dewy.deployment.aftermath import Aftermath
from dewy.deployment.application import Application
from dewy.deployment.attempt import Attempt, DeploymentFailed
from dewy.deployment.proof import Proof
from dewy.deployment.retreat import Retreat
from dewy.deployment.rollback import Rollback, RolledBack
from dewy.deployment.stage import Stage, now
from dewy.errors import ArtifactError, DewyError, StartError, as_dewy_error, from_os_error
from dewy.fetch import Fetched, Fetcher
from dewy.files import sweep
from dewy.hooks import DeployHooks
from dewy.runtime import Runtime
from dewy.state import Deployed, Held, State
from dewy.statefile import StateFile, StateKeeper
from dewy.types import Deployment, Outcome, Release, Report, Result
from dewy.waker import Interrupted

__all__ = ["Pipeline"]


_MOST_PATIENCE = 15.0
"""Seconds that a deployment waits for the application to come back after it has died."""


class Pipeline:
    """Deploys one release after another. Everything that changes on disk is changed from the deployer's thread.

    Attributes:
        application: What is deployed, if it is a process.
        stage: Which release is current: on disk and in the state.
        aftermath: What follows a deployment, however it ended.
        rollback: How to go back.
        proof: Tells whether a version is any good; None where there is no process.
        under_way: The present deployment, for those who look on from other threads; None between two.
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
        self.application, self._fetcher, self._hooks = application, fetcher, DeployHooks(runtime)
        file = StateFile(runtime.settings.state_directory, runtime.emit)
        self.stage = Stage(runtime.settings.root, StateKeeper(file, state, runtime.emit), runtime.emit)
        self.aftermath = Aftermath(runtime, self.stage, self._hooks, report)
        self.under_way: Attempt | None = None
        self._baking: Attempt | None = None
        self.proof = Proof(runtime, application) if application else None
        self.rollback = Rollback(self.stage, self.proof, runtime.emit, runtime.waker.monotonic)

    @property
    def state(self) -> State:
        """What is known of this host."""
        return self.stage.state

    # ------------------------------------------------------------------------------------------- one deployment

    def deploy(self, release: Release, reason: str) -> None:
        """Deploys a release.

        Raises:
            DeploymentFailed: The version that ran before then serves on, or again.
            Interrupted: An operator's command goes first. Before anything has changed: nothing has happened; while the
                version bakes: :meth:`go_on` goes on with it.
        """
        attempt = self._attempt(release, self._directory_for(release), self.state.current)
        with attempt.scope():
            self._tell_start(attempt, reason)
            self._go(attempt, lambda: self._carry_out(attempt))

    @property
    def bakes(self) -> bool:
        """Whether a version serves that is not proven yet: after an interruption or a restart of dewy."""
        return self.state.pending is not None and self.state.pending.phase == "baking"

    def go_on(self) -> None:
        """Goes on with a version that serves and is not proven yet. Raises as :meth:`deploy`."""
        if pending := self.state.pending:
            attempt = self._baking or self._baking_since_before(pending.deployed)
            with attempt.scope():
                self._emit(events.DEPLOYMENT_RESUMED, version=attempt.release.version, phase="baking")
                self._go(attempt, lambda: self._prove(attempt))

    def _baking_since_before(self, deployed: Deployed) -> Attempt:
        """The attempt of a dewy that has ended."""
        release = Release(
            version=deployed.version, artifact=deployed.artifact, url=deployed.url,
            digests=(deployed.digest,), fingerprint=deployed.fingerprint, id=deployed.id,
        )  # fmt: skip
        before = next((other for other in self.stage.on_disk() if other.directory != deployed.directory), None)
        return self._attempt(release, deployed.directory, before, deployed.digest)

    def _go(self, attempt: Attempt, steps: Callable[[], None]) -> None:
        self.under_way = attempt
        try:
            steps()
        except Exception as error:
            if attempt.phase in ("after", "report"):
                raise  # it is done: whatever fails afterwards undoes nothing
            # also a fault of ours must leave everything as it was
            raise self._fail(attempt, error) from error
        except Interrupted:
            if attempt.phase != "bake":
                reason = "an operator's command goes first"
                self._emit(events.DEPLOYMENT_INTERRUPTED, version=attempt.release.version, reason=reason)
            raise
        finally:
            self.under_way = None

    def _carry_out(self, attempt: Attempt) -> None:
        with self._fetcher.fetch(attempt.release) as fetched:
            if self._is_what_runs(attempt, fetched) or self._is_on_hold(attempt, fetched):
                return
            attempt.deployment = replace(attempt.deployment, digest=fetched.digest)
            self._notice_other_bytes(attempt, fetched)
            self._ask_hooks(attempt)
            attempt.enter("unpack")
            self._unpack(attempt, fetched)
        if application := self.application:
            # what has died comes back first, and until then `current` leads to it
            self._waker.wait_for(lambda: not application.comes_back(), _MOST_PATIENCE)
        with self.proof.switching() if self.proof else nullcontext():
            try:
                self._take_over(attempt)
            except Exception as error:
                self._undo(attempt, error)
                raise
        self._prove(attempt)

    def _ask_hooks(self, attempt: Attempt) -> None:
        """Asks the before-hooks, once for one deployment, also when dewy was killed after they had agreed."""
        attempt.enter("before")
        if not self._is_prepared(attempt):
            self.stage.keeper.keep(replace(self.state, named=attempt.deployment.id))
            self._hooks.ask(attempt.deployment)
        self.stage.note(replace(self.state, prepared=None), "prepared", attempt.deployed(now()))

    def _take_over(self, attempt: Attempt) -> None:
        """From here on the release is current, and serves at the end. What fails is undone by the caller."""
        attempt.enter("switch")
        self.stage.switch(attempt.deployed(now()))
        if self.proof:
            attempt.enter("preflight")
            self.proof.preflight(attempt.deployed(now()))
            attempt.enter("start")
            attempt.since = self.proof.begin()
            self.proof.swap(attempt.deployed(now()), gives_way=True)
        deployed = attempt.deployed(now())
        self.stage.note(self.state.deployed(deployed), "baking", deployed)

    def _prove(self, attempt: Attempt) -> None:
        """Watches the release for a while; one that fails is left for the version before."""
        if self.proof:
            attempt.enter("bake")
            self._baking = attempt
            try:
                attempt.says_ready = self.proof.bake(attempt.deployed(now()), attempt.since)
            except DewyError as error:
                self._retreat(attempt, error)
                raise
        self._baking = None
        self._finish(attempt)

    def _tell_start(self, attempt: Attempt, reason: str) -> None:
        release = attempt.release
        self._emit(
            events.DEPLOYMENT_STARTED,
            version=release.version, previous_version=attempt.deployment.previous_version or "nothing",
            artifact=release.artifact, reason=reason, directory=attempt.deployment.directory.name,
        )  # fmt: skip

    def _attempt(self, release: Release, directory: str, previous: Deployed | None, digest: str = "") -> Attempt:
        deployment = Deployment(
            version=release.version,
            previous_version=previous.version if previous else "",
            artifact=release.artifact,
            digest=digest,
            directory=self.stage.releases.path(directory),
            root=self._settings.root,
            command=self._settings.command,
        )
        return Attempt(release, deployment, previous, self._waker.monotonic)

    def _directory_for(self, release: Release) -> str:
        """The name of the release's directory: a new one, or that of the deployment that is taken up."""
        prepared = self.state.prepared
        if prepared and self.state.is_same(prepared, release) and not self.stage.releases.path(prepared.directory).exists():
            return prepared.directory
        return self.stage.releases.new_name(now(), after=self.state.named)

    def _is_prepared(self, attempt: Attempt) -> bool:
        prepared = self.state.prepared
        return (
            prepared is not None
            and (prepared.version, prepared.digest) == (attempt.release.version, attempt.deployment.digest)
            and prepared.directory == attempt.deployment.directory.name
        )

    def _is_what_runs(self, attempt: Attempt, fetched: Fetched) -> bool:
        """Whether the same version was only published again: then the new listing is remembered, and that is all."""
        current, release = self.state.current, attempt.release
        if current is None or (current.version, current.digest) != (release.version, fetched.digest):
            return False
        self.stage.keeper.save(self.state.deployed(replace(current, fingerprint=release.fingerprint)))
        self._emit(events.ARTIFACT_UNCHANGED, version=release.version, artifact=release.artifact)
        return True

    def _is_on_hold(self, attempt: Attempt, fetched: Fetched) -> bool:
        """Whether bytes on hold were only published again: they stay on hold under the new listing, and that is all."""
        release = attempt.release
        held = self.state.holds(replace(release, digests=(fetched.digest,)))
        if held is None or held.digest != fetched.digest:
            return False
        self.stage.keeper.save(self.state.hold(replace(held, fingerprint=release.fingerprint)))
        self._emit(events.ARTIFACT_UNCHANGED, version=release.version, artifact=release.artifact)
        return True

    def _notice_other_bytes(self, attempt: Attempt, fetched: Fetched) -> None:
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

    def _unpack(self, attempt: Attempt, fetched: Fetched) -> None:
        settings, name = self._settings, attempt.deployment.directory.name
        limits = Limits(max_bytes=settings.max_size, max_members=settings.max_members)
        began = self._waker.monotonic()
        with self.stage.releases.incoming(name) as incoming:
            unpacked = unpack(fetched.path, attempt.release.artifact, incoming, limits)
        self._emit(
            events.RELEASE_UNPACKED,
            version=attempt.release.version, directory=name, members=unpacked.members, seconds=self._since(began),
        )  # fmt: skip

    def _finish(self, attempt: Attempt) -> None:
        """The release runs: from here on nothing can fail the deployment."""
        deployed = attempt.deployed(now())
        self.stage.note(self.state.superseded_by(deployed).deployed(deployed), "finishing", deployed)
        seconds = attempt.seconds
        self._emit(
            events.DEPLOYMENT_DONE,
            version=deployed.version, previous_version=attempt.deployment.previous_version or "nothing", seconds=seconds,
            artifact=deployed.artifact, digest=deployed.digest, directory=deployed.directory, **attempt.durations(),
        )  # fmt: skip
        self.aftermath.follow(attempt, Result("deployed", seconds))
        self.stage.settle()
        self.prune()

    # ------------------------------------------------------------------------------------------------- when it fails

    def _fail(self, attempt: Attempt, error: Exception) -> DeploymentFailed:
        """Everything back as it was, and whoever wants to know is told."""
        phase, came_to_switch = attempt.phase, attempt.phase not in ("fetch", "before", "unpack")
        if attempt.cause is None:
            self._undo(attempt, error)
        cause = attempt.cause or as_dewy_error(error, f"deploying {attempt.release.version}")
        failed: Outcome = "vetoed" if phase == "before" else "failed"
        outcome: Outcome = "rolled_back" if came_to_switch and attempt.previous else failed
        failure = DeploymentFailed(phase, cause, held=attempt.held, attempt=attempt)
        self.aftermath.follow(attempt, Result(outcome, attempt.seconds, str(cause)))
        return failure

    def _undo(self, attempt: Attempt, error: Exception) -> None:
        """``current`` leads to what serves; the version is held if it is its own fault that it does not."""
        attempt.cause = as_dewy_error(error, f"deploying {attempt.release.version}")
        # a first version is not held: there is nothing better to serve, and its surroundings may come up yet
        attempt.held = isinstance(attempt.cause, StartError) and attempt.previous is not None
        if attempt.held:
            self._hold(attempt, str(attempt.cause))
        self.stage.revert(attempt.deployed(now()), attempt.previous)

    def _retreat(self, attempt: Attempt, cause: DewyError) -> None:
        attempt.cause = cause
        self.retreat(cause)
        attempt.held = self.state.holds(attempt.release) is not None

    def retreat(self, cause: DewyError) -> RolledBack | None:
        """Goes back to a version that runs; None where there is none: then what has failed is started again and again."""
        done = Retreat(self.stage, self.rollback, self.proof).run(cause) if self.proof else None
        if self.bakes:  # else it is settled, or is to be taken up
            self.stage.settle()
        self.prune()
        return done

    def _hold(self, attempt: Attempt, reason: str) -> None:
        release, digest = attempt.release, attempt.deployment.digest
        held = Held(
            version=release.version, digest=digest, fingerprint=release.fingerprint, reason=reason,
            at=now().isoformat(timespec="seconds"),
        )  # fmt: skip
        self.stage.note(self.state.hold(held), "failed", attempt.deployed(now()))
        self.stage.tell_held(held)

    # ---------------------------------------------------------------------------------------- before and in between

    def prepare(self) -> None:
        """Makes the directories and takes away what a killed dewy left. Raises DewyError when it cannot."""
        try:
            self._settings.state_directory.mkdir(mode=0o700, exist_ok=True)
            sweep(self._settings.state_directory)
            for left in self._settings.state_directory.glob("preflight-*.sock"):  # of a candidate, when dewy was killed
                left.unlink(missing_ok=True)
            self.stage.releases.prepare()
            self._fetcher.prepare()
        except OSError as error:
            raise from_os_error(error, f"preparing {self._settings.root}") from error

    def prune(self) -> None:
        """Removes releases beyond those that are kept, and tells the cache which artifacts are needed (R70, R45)."""
        running = self.application.running() if self.application else ()
        self._fetcher.pin(self.stage.prune(self._settings.keep_releases, running))

    def _since(self, began: float) -> float:
        return round(self._waker.monotonic() - began, 3)
