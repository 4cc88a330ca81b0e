"""What an operator may ask of a host. Done by whoever has the root: the running dewy, or the command where none runs."""

from __future__ import annotations

from dewy import events
from dewy.deployment import Rollback, RolledBack, Stage, release_to_go_back_to
from dewy.deployment.stage import now
from dewy.errors import DewyError, UsageError
from dewy.scope import within
from dewy.state import Held
from dewy.versions import same_tag

__all__ = ["Operations"]

_MOST_TAG = 200


class Operations:
    """Rollbacks and holds by hand.

    Args:
        stage: What runs here.
        rollback: How to go back.
        emit: The event stream.

    Attributes:
        unfollowed: Rollbacks that neither hooks nor the registry have been told of.
    """

    def __init__(self, stage: Stage, rollback: Rollback, emit: events.Emit) -> None:
        self._stage, self._rollback, self._emit = stage, rollback, emit
        self.unfollowed: list[RolledBack] = []

    def roll_back(self, version: str | None, operator: str) -> RolledBack:
        """Goes back to a version that is on disk, the previous one if none is named, and holds the one that is left.

        Raises:
            StartError: It does not start; what runs runs on.
            DewyError: There is no such version, or ``current`` cannot be switched.
        """
        with within(cause=f"operator {operator}"):
            done = self._roll_back(version, operator)
        self.unfollowed.append(done)
        return done

    def _roll_back(self, version: str | None, operator: str) -> RolledBack:
        reason = f"{operator} rolled back"
        undone = self._rollback.abandon(reason)  # also where another version is named: its half is nowhere to go back from
        current = self._stage.state.current
        if undone and current and (version is None or same_tag(current.version, version)):
            return undone
        target = release_to_go_back_to(self._stage.state, self._stage.on_disk(), version)
        return self._rollback.run(target, f"{reason} to {target.version}")

    def hold(self, version: str, operator: str) -> Held:
        """Has a version never deployed here, whatever its bytes, until :meth:`unhold`. Raises HostError, UsageError."""
        tag = version.strip()
        if not tag or len(tag) > _MOST_TAG or not tag.isprintable():
            raise UsageError(f"{version!r} is no version", "It takes a tag such as v1.2.0")
        held = Held(version=tag, digest="", reason=f"{operator} put it on hold", at=now().isoformat(timespec="seconds"))
        with within(cause=f"operator {operator}"):
            self._stage.keeper.save(self._stage.state.hold(held))
            self._stage.tell_held(held)
        return held

    def unhold(self, version: str, operator: str) -> Held:
        """Lifts the hold on a version. Raises DewyError when there is none, HostError when it cannot be written."""
        state = self._stage.state
        lifted = state.unhold(version)
        gone = next((held for held in state.held if held not in lifted.held), None)
        if gone is None:
            there = ", ".join(held.version for held in state.held)
            raise DewyError(f"{version} is not on hold", f"On hold are: {there}" if there else "Nothing is")
        with within(cause=f"operator {operator}"):
            self._stage.keeper.save(lifted)
            self._emit(
                events.VERSION_UNHELD, version=gone.version, reason=f"{operator} has lifted the hold", digest=gone.digest
            )
        return gone
