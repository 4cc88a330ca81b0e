"""Away from a version that has failed after it took over: to the one before, and further back while that one fails too."""

from __future__ import annotations

from dewy.deployment.proof import Proof
from dewy.deployment.rollback import Rollback, RolledBack, held_because
from dewy.deployment.stage import Stage
from dewy.errors import DewyError, StartError
from dewy.state import Deployed

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
        done = None
        while (failed := self._stage.state.current) and (target := self._target()):
            self._hold(failed, cause)
            since = self._proof.begin()
            try:
                done = self._rollback.run_from_failed(target, cause.message)
                self._proof.bake(target, since, at_once=True)
            except StartError as error:
                cause = error
                self._hold(target, error)
            except DewyError:
                return done  # this host is in trouble: no other version mends that
            else:
                return done
        return done

    def _target(self) -> Deployed | None:
        return self._stage.state.previous(self._stage.on_disk())

    def _hold(self, release: Deployed, cause: DewyError) -> None:
        if isinstance(cause, StartError) and not self._stage.state.holds_deployed(release):
            held = held_because(release, str(cause))
            self._stage.keeper.keep(self._stage.state.hold(held))
            self._stage.tell_held(held)
