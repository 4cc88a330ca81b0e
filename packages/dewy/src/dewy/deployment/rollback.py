"""Going back to a release that is kept on disk, without the registry (R8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from dewy import events
from dewy.deployment.proof import Proof
from dewy.deployment.stage import Stage, now
from dewy.errors import DewyError, HostError, as_dewy_error, output_of
from dewy.scope import within
from dewy.state import Deployed, Held, Pending, State
from dewy.versions import same_tag

__all__ = ["Rollback", "RolledBack", "held_because", "release_to_go_back_to"]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback has done.

    Attributes:
        release: What runs now.
        left: What ran before.
        seconds: How long it took.
        reason: Why.
    """

    release: Deployed
    left: Deployed
    seconds: float
    reason: str


def release_to_go_back_to(state: State, on_disk: Sequence[Deployed], version: str | None) -> Deployed:
    """The release that a rollback goes to: the named one, else the last that ran before and is not on hold.

    Args:
        state: What this host knows.
        on_disk: What has run and is still on disk, newest first.
        version: A tag, with or without its leading ``v``; None for the previous one.

    Raises:
        DewyError: There is none; says what there is.
    """
    current = state.current
    if current is None:
        raise DewyError("nothing runs here yet, so there is nothing to go back from")
    if version is None:
        if previous := state.previous(on_disk):
            return previous
    elif same_tag(current.version, version):
        raise DewyError(f"{current.version} is what runs here already")
    elif named := next((release for release in on_disk if same_tag(release.version, version)), None):
        return named
    others = [_describe(release, state) for release in on_disk if release.directory != current.directory]
    there = f"On disk are: {', '.join(others)}" if others else f"On disk is {current.version} alone, which runs"
    if version is None and others:
        there += "; one on hold must be named"
    wanted = f"{version} is not" if version else f"nothing to go back to from {current.version} is"
    raise DewyError(f"{wanted} on this host's disk", there)


def _describe(release: Deployed, state: State) -> str:
    return f"{release.version} (on hold)" if state.holds_deployed(release) else release.version


def held_because(release: Deployed, reason: str) -> Held:
    """A hold on the bytes of a release, from now on."""
    return Held(
        version=release.version, digest=release.digest, fingerprint=release.fingerprint, reason=reason,
        at=now().isoformat(timespec="seconds"),
    )  # fmt: skip


class Rollback:
    """Takes a host back. The version that it leaves is put on hold, or the next poll would deploy it again.

    Args:
        stage: What runs here.
        proof: Starts versions; None for assets, and while no dewy runs.
        emit: The event stream.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        stage: Stage,
        proof: Proof | None,
        emit: events.Emit,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stage, self._proof, self._emit, self._monotonic = stage, proof, emit, monotonic
        self._resumed: Pending | None = None
        self._told: tuple[str, str] | None = None

    def run(self, target: Deployed, reason: str) -> RolledBack:
        """Goes to a release, and puts the one that runs on hold; the target's own hold is lifted.

        Raises:
            StartError: It does not start. What ran before runs on, and is not on hold.
            DewyError: ``current`` cannot be switched; nothing has changed.
        """
        left, self._told = self._left(), None
        held = held_because(left, reason)
        before = self._stage.state
        with within(deployment=self._stage.releases.new_name(now())):
            # written if the disk takes it: a full one must not keep anybody from going back
            self._stage.note(before.without_hold_on(target).hold(held), "switching", target, kind="rollback")
            done = self._go(target, left, reason, undo=before)
            self._stage.tell_held(held)
        return done

    def run_from_failed(self, target: Deployed, reason: str, held: Held | None) -> RolledBack:
        """Goes to a release from one that has failed, and puts that one on hold, if it is to be.

        Both are in the state at once: a dewy that is killed in between must not start again what is on hold.

        Raises:
            StartError: It does not start.
            HostError: This host is in trouble; the state still says that this is to be done.
            DewyError: As StartError.
        """
        left, state = self._left(), self._stage.state
        state = state.hold(held) if held else state
        self._stage.note(state, "switching", target, kind="retreat")
        if held:
            self._stage.tell_held(held)
        # a dewy that is killed before there is another target finds what has failed, and leaves it once more
        undo = replace(state, pending=Pending(deployed=left, phase="baking"))
        return self._persist(target, left, reason, undo=undo)

    def abandon(self, reason: str) -> RolledBack | None:
        """Undoes a deployment in which a dewy was killed, and holds its version; None where there is none.

        Raises DewyError when nothing ran before it.
        """
        pending = self._stage.state.pending
        if pending is None or pending.kind != "deployment" or pending.phase != "switching":
            return None
        began, back, failed = self._monotonic(), self._left(), pending.deployed
        held = held_because(failed, reason)
        with within(deployment=failed.directory):
            self._stage.note(self._stage.state.hold(held), "failed", failed)
            self._stage.revert(failed, back)
            done = RolledBack(back, failed, self._since(began), reason)
            self._tell(done)
            self._stage.tell_held(held)
        return done

    def resume(self, pending: Pending) -> RolledBack:
        """Ends a rollback in which dewy was killed. Raises as :meth:`run`."""
        left, target = self._left(), pending.deployed
        with within(deployment=self._stage.releases.new_name(now())):
            if pending != self._resumed:  # on a disk in trouble it goes on at each poll
                self._emit(events.DEPLOYMENT_RESUMED, version=target.version, phase="rollback")
            self._resumed = pending
            undo = replace(self._stage.state.unhold(left.version), pending=None)
            return self._persist(target, left, "dewy was stopped in the middle of it", undo=undo)

    def _persist(self, target: Deployed, left: Deployed, reason: str, *, undo: State) -> RolledBack:
        """As :meth:`_go`; where this host is to blame, it stays to be done."""
        state = self._stage.state
        try:
            return self._go(target, left, reason, undo=undo)
        except HostError:
            self._stage.keeper.keep(state)
            raise

    def _left(self) -> Deployed:
        left = self._stage.state.current
        if left is None:
            raise DewyError("nothing runs here yet, so there is nothing to go back from")
        return left

    def switching(self) -> AbstractContextManager[None]:
        """In the block what ran before is not started again. May be nested."""
        return self._proof.switching() if self._proof else nullcontext()

    def _go(self, target: Deployed, left: Deployed, reason: str, *, undo: State) -> RolledBack:
        began = self._monotonic()
        with self.switching():
            try:
                self._stage.point_current_at(target)
                if self._proof:
                    self._proof.swap(target)
            except Exception as error:
                cause = as_dewy_error(error, f"going back to {target.version}")
                self._undo(target, left, undo)
                self._tell_failure(target, left, cause, self._since(began))
                raise cause from error
        done = RolledBack(target, left, self._since(began), reason)
        self._stage.settle(self._stage.state.deployed(replace(target, at=now().isoformat(timespec="seconds"))))
        self._tell(done)
        return done

    def _tell(self, done: RolledBack) -> None:
        release, left, self._told = done.release, done.left, None
        self._emit(
            events.ROLLBACK_DONE,
            version=release.version, previous_version=left.version, seconds=done.seconds, artifact=release.artifact,
            digest=release.digest, directory=release.directory, reason=done.reason,
            next=f"{left.version} is {'on hold' if self._stage.state.holds_deployed(left) else 'tried again later'}; "
            "another version is deployed when the registry offers one",
        )  # fmt: skip

    def _undo(self, target: Deployed, left: Deployed, state: State) -> None:
        try:
            self._stage.leave(target, left)
        except OSError as error:
            self._emit(events.DISK_FAILED, error=str(as_dewy_error(error, "staying at the version that runs")))
            # or the next start would run another version than the one that runs now
            self._stage.note(state, "failed", target, kind="rollback")
        else:
            self._stage.keeper.keep(state)

    def _tell_failure(self, target: Deployed, left: Deployed, cause: DewyError, seconds: float) -> None:
        output, fact = output_of(cause), (target.directory, str(cause))
        if fact == self._told:
            return  # where this host is to blame, it is tried at each poll
        self._told = fact
        self._emit(
            events.ROLLBACK_FAILED,
            version=target.version, previous_version=left.version, error=str(cause), seconds=seconds, output=output,
            keeps=f"{left.version} runs on",
        )  # fmt: skip

    def _since(self, began: float) -> float:
        return round(self._monotonic() - began, 3)
