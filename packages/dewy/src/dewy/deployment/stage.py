"""Which release is current: the release directories, the ``current`` symlink and the state, changed together.

What is about to happen is in the state before it happens, so that a dewy which is killed knows where it was.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dewy import events
from dewy.errors import from_os_error
from dewy.releases import ReleaseDirectories
from dewy.state import Deployed, Held, Pending, PendingKind, Phase, State
from dewy.statefile import StateKeeper

__all__ = ["Stage", "now"]


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


class Stage:
    """What runs on this host, and what could. Only for whoever has the root's lock, from one thread.

    Args:
        root: The application's root directory.
        keeper: The state.
        emit: The event stream.

    Attributes:
        releases: The release directories.
        keeper: The state.
    """

    def __init__(self, root: Path, keeper: StateKeeper, emit: events.Emit) -> None:
        self.releases, self.keeper = ReleaseDirectories(root), keeper
        self._emit = emit

    @property
    def state(self) -> State:
        """What is known of this host."""
        return self.keeper.state

    # ------------------------------------------------------------------------------------------------- going forth

    def switch(self, deployed: Deployed) -> None:
        """Has ``current`` lead to a release that is not proven yet. Raises HostError or OSError."""
        self.keeper.save(replace(self.state, pending=Pending(deployed=deployed, phase="switching")))
        self.point_current_at(deployed)
        self.releases.keep_spare(deployed.directory)

    def point_current_at(self, release: Deployed) -> None:
        """Has ``current`` lead to a release, when there is a way back from it. Raises OSError."""
        if before := self.releases.current():
            self.releases.keep_spare(before)
        self.releases.switch(release.directory)
        self._emit(events.RELEASE_SWITCHED, version=release.version, directory=release.directory)

    def remember_prepared(self, pending: Pending) -> None:
        """A deployment that ended with a dewy that was killed: its before-hooks have agreed, and are not asked again."""
        if pending.phase in ("prepared", "switching"):
            self.keeper.keep(replace(self.state, prepared=pending.deployed))

    def note(self, state: State, phase: Phase, deployed: Deployed, kind: PendingKind = "deployment") -> None:
        """Goes on with a state in which a deployment has come so far."""
        self.keeper.keep(replace(state, pending=Pending(deployed=deployed, phase=phase, kind=kind)))

    def settle(self, state: State | None = None) -> None:
        """Nothing is under way any more."""
        self.keeper.keep(replace(state or self.state, pending=None))

    # ------------------------------------------------------------------------------------------------- going back

    def revert(self, failed: Deployed, previous: Deployed | None) -> None:
        """``current`` leads to the version before again, and the failed release is gone."""
        try:
            self.leave(failed, previous)
            self.releases.remove(failed.directory)
        except OSError as error:
            # the state still says that this is to be done; the next start does it
            self._emit(events.DISK_FAILED, error=str(from_os_error(error, "going back to the version before")))
            return
        self.settle()

    def stay(self, target: Deployed, current: Deployed | None) -> None:
        """``current`` leads to the version that runs, not to one that a rollback could not go to."""
        try:
            self.leave(target, current)
        except OSError as error:
            self._emit(events.DISK_FAILED, error=str(from_os_error(error, "staying at the version that runs")))
            return
        self.settle()

    def leave(self, release: Deployed, previous: Deployed | None) -> None:
        """Has ``current`` lead to the version before, if it leads to this one. Raises OSError."""
        if self.releases.current() == release.directory:
            self.releases.switch(previous.directory if previous else None)
            if previous:
                self._emit(events.RELEASE_REVERTED, version=previous.version, directory=previous.directory)

    # ------------------------------------------------------------------------------------------------------- holds

    def tell_held(self, held: Held) -> None:
        """Says that a version is on hold, when the state says so."""
        self._emit(events.VERSION_HELD, version=held.version, reason=held.reason, digest=held.digest)

    # ---------------------------------------------------------------------------------------------------- tidying

    def on_disk(self) -> tuple[Deployed, ...]:
        """What has run here and is still there, newest first, ``current`` included."""
        return tuple(release for release in self.state.releases if self.releases.has(release.directory))

    def prune(self, keep: int, running: Collection[str]) -> tuple[Deployed, ...]:
        """Removes releases beyond those that are kept (R70); returns those that are left.

        What still runs stays, and so does what a rollback would go back to.
        """
        target = self.state.previous(self.on_disk())
        needed = {*running, *([target.directory] if target else [])}
        try:
            for name in self.releases.old(keep, needed):
                self.releases.remove(name)
                self._emit(events.RELEASE_REMOVED, directory=name)
        except OSError as error:
            self._emit(events.DISK_FAILED, error=str(from_os_error(error, "removing old releases")))
        kept = self.on_disk()
        if kept != self.state.releases:
            self.keeper.keep(replace(self.state, releases=kept))
        with suppress(OSError):  # there is no room for them now
            for release in kept:
                self.releases.keep_spare(release.directory)
        return kept
