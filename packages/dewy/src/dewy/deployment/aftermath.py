"""What follows a deployment, however it ended: hooks, the report to the registry, and what people are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dewy import events
from dewy.deployment.attempt import Attempt, DeploymentFailed
from dewy.deployment.rollback import RolledBack
from dewy.deployment.stage import Stage, now
from dewy.errors import DewyError, output_of
from dewy.hooks import DeployHooks
from dewy.host import host_name
from dewy.runtime import Runtime
from dewy.types import Deployment, Release, Report, Result

__all__ = ["Aftermath"]


class Aftermath:
    """Has whoever wants to know told. Nothing here changes what has happened.

    Args:
        runtime: What the parts of dewy share.
        stage: What runs here.
        hooks: The deploy hooks.
        report: Tells the registry; raises DewyError or OSError.
    """

    def __init__(self, runtime: Runtime, stage: Stage, hooks: DeployHooks, report: Callable[[Report], None]) -> None:
        self._settings, self._emit, self._waker = runtime.settings, runtime.emit, runtime.waker
        self._stage, self._hooks, self._report, self._host = stage, hooks, report, host_name()

    def follow(self, attempt: Attempt, result: Result) -> None:
        """The hooks and the report of a deployment that has ended."""
        attempt.enter("after")
        self._follow(attempt.deployment, result)
        attempt.enter("report")
        self._tell_registry(attempt.release, attempt.deployment.digest, result.error)

    def _follow(self, deployment: Deployment, result: Result) -> None:
        """Has the hooks run, unless a dewy that is killed now would not know that they have (they run once at most)."""
        self._stage.keeper.catch_up()
        if self._stage.keeper.is_saved:
            self._hooks.follow(deployment, result)
        elif result.outcome in ("deployed", "rolled_back"):
            self._emit(
                events.HOOK_FAILED,
                phase="after" if result.outcome == "deployed" else "rollback", version=deployment.version, hook="all",
                output="", output_size=0, seconds=0.0, error="it is not run, because the state cannot be written",
            )  # fmt: skip

    def follow_rollback(self, done: RolledBack) -> None:
        """The same of a rollback by an operator: for hooks, a deployment that was undone.

        To the registry it is what it is to the fleet: this host runs that version now.
        """
        back, left = done.release, done.left
        undone = Deployment(
            version=left.version, previous_version=back.version, artifact=left.artifact, digest=left.digest,
            directory=self._stage.releases.path(left.directory), root=self._settings.root, command=self._settings.command,
        )  # fmt: skip
        self._hooks.follow(undone, Result("rolled_back", done.seconds, done.reason))
        release = Release(
            version=back.version, artifact=back.artifact, url=back.url, fingerprint=back.fingerprint, id=back.id
        )
        with self._waker.interruptible():
            self._tell_registry(release, back.digest, None)

    def tell_failure(self, failure: DeploymentFailed, retry_seconds: float | None = None) -> None:
        """Says that a deployment has failed, what serves now, and what comes next."""
        current, cause, version = self._stage.state.current, failure.cause, failure.attempt.release.version
        output = output_of(cause)
        following = f"{version} is tried again" + ("" if retry_seconds is None else f" in {retry_seconds:.0f}s")
        keeps = self.keeps(again=failure.phase == "bake")
        if failure.held:
            following = f"{version} is on hold until the registry offers another, or: dewy unhold {version}"
        elif failure.phase == "bake" and current and current.version == version:
            keeps, following = "there is no version to go back to", f"{version} is started again and again"
        with failure.attempt.scope():
            self._emit(
                events.DEPLOYMENT_FAILED,
                version=version, error=str(failure), phase=failure.phase, output=output,
                seconds=failure.attempt.seconds, digest=failure.attempt.deployment.digest,
                previous_version=current.version if current else "",
                keeps=keeps, next=following,
                **failure.durations,
            )  # fmt: skip

    def keeps(self, *, again: bool = False) -> str:
        """What serves while something else has failed, or serves again: the end of a sentence."""
        current = self._stage.state.current
        if current is None:
            return "nothing runs"
        if self._settings.command == "assets":
            return f"{current.version} stays"
        return f"{current.version} runs {'again' if again else 'on'}"

    def _tell_registry(self, release: Release, digest: str, error: str | None) -> None:
        digests = tuple(dict.fromkeys((*([digest] if digest else []), *release.digests)))
        release = replace(release, digests=digests)
        report = Report(release=release, command=self._settings.command, host=self._host, at=now(), error=error)
        try:
            self._report(report)
        except (DewyError, OSError) as problem:
            self._emit(events.REPORT_FAILED, version=release.version, error=str(problem))
        else:
            self._emit(events.REPORT_DONE, version=release.version)
