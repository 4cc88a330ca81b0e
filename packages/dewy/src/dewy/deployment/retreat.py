"""Away from a version that has failed after it took over: to the one before, and further back while that one fails too."""

from __future__ import annotations

from dewy.deployment.proof import Proof
from dewy.deployment.rollback import Rollback, RolledBack, held_because
from dewy.deployment.stage import Stage
from dewy.errors import DewyError, StartError
from dewy.state import Deployed, Held

__all__ = ["Retreat"]


class Retreat:
    """Finds a version that runs.

    Args:
        stage: What runs here.
        rollback: How to go back.
        proof: Tells whether a version is any good.
    """

    def __init__(self, stage: Stage, rollback: Rollback, proof: Proof) -> None:
        self._stage, self._rollback, self._proof = stage, rollback, proof

    def run(self, cause: DewyError) -> RolledBack | None:
        """Leaves the version that runs, or has died. What fails is put on hold, unless this host is to blame.

        Returns where it has ended; None where there was nothing to go back to: then what has failed is started again and
        again.
        """
        with self._rollback.switching():  # also between two steps what has failed is not started again
            return self._run(cause)

    def _run(self, cause: DewyError) -> RolledBack | None:
        done = None
        while (failed := self._stage.state.current) and (target := self._target()):
            since = self._proof.begin()
            try:
                done = self._rollback.run_from_failed(target, cause.message, self._held(failed, cause))
                self._proof.bake(target, since, at_once=True)
            except StartError as error:
                cause = error
                if held := self._held(target, error):
                    self._stage.keeper.keep(self._stage.state.hold(held))
                    self._stage.tell_held(held)
            except DewyError:
                return done  # this host is in trouble: no other version mends that
            else:
                return done
        return done

    def _target(self) -> Deployed | None:
        return self._stage.state.previous(self._stage.on_disk())

    def _held(self, release: Deployed, cause: DewyError) -> Held | None:
        """The hold on a release that has failed; None where this host is to blame, and for one that is on hold."""
        if not isinstance(cause, StartError) or self._stage.state.holds_deployed(release):
            return None
        return held_because(release, str(cause))
