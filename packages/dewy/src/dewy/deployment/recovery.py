"""The first thing a dewy does: runs what is there (R72), and ends what one before it had begun, or the disk had stopped."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from dewy.deployment.pipeline import Pipeline
from dewy.deployment.rollback import RolledBack
from dewy.deployment.stage import now
from dewy.errors import DewyError, HostError
from dewy.scope import within
from dewy.state import Deployed, Pending

__all__ = ["recover", "take_up"]


def recover(pipeline: Pipeline) -> None:
    """Has ``current`` lead to a release that is known, and the application run it, without asking any registry.

    Raises:
        StartError: It does not start; the supervisor keeps trying.
        DewyError: ``current`` or the state cannot be changed.
        OSError: As DewyError.
    """
    pending = pipeline.state.pending
    if pending and pending.kind != "deployment" and pending.phase != "failed":
        _roll_back(pipeline, pending)
    else:
        if pending and pending.phase != "baking":  # one that serves already is watched on by the deployer
            _forget(pipeline, pending)
        _start_current(pipeline)
    pipeline.prune()


def take_up(pipeline: Pipeline) -> None:
    """Tries again to end what the disk has not let dewy end; :attr:`State.pending` says whether it does now."""
    pending = pipeline.state.pending
    if pending is None or pipeline.bakes:
        return
    if pending.kind != "deployment" and pending.phase != "failed":
        with suppress(DewyError):  # it has said so
            _go_on_back(pipeline, pending)
    elif pending.phase == "finishing":
        pipeline.stage.settle()
    elif pending.kind != "deployment":
        pipeline.stage.stay(pending.deployed, pipeline.state.current)
    else:
        pipeline.stage.revert(pending.deployed, pipeline.state.current)


def _go_on_back(pipeline: Pipeline, pending: Pending) -> RolledBack | None:
    """Goes on with a way back. Raises as :meth:`Rollback.run`; else as :meth:`Pipeline.retreat`."""
    if pending.kind == "rollback" or pipeline.proof is None:
        return pipeline.rollback.resume(pending)
    with within(deployment=pipeline.stage.releases.new_name(now())):
        return pipeline.retreat(DewyError("dewy goes on with what it was stopped in"))


def _roll_back(pipeline: Pipeline, pending: Pending) -> None:
    """What an operator has asked for is done, however often dewy is killed meanwhile; and what has failed is left."""
    done = None
    with suppress(DewyError):  # it has said so, and what ran before is current again
        done = _go_on_back(pipeline, pending)
    if done is None:
        _start_current(pipeline)


def _forget(pipeline: Pipeline, pending: Pending) -> None:
    """A deployment that was not proven is undone: what ran before comes up at once, and the next poll deploys it anew.

    One that was done but for its after-hooks is done: they may have run.
    """
    if pending.phase == "finishing":
        pipeline.stage.settle()
    elif pending.kind != "deployment":
        pipeline.stage.stay(pending.deployed, pipeline.state.current)
    elif _is_first(pipeline, pending):
        # there is nothing better: it is watched as if this dewy had started it
        pipeline.stage.note(pipeline.state.deployed(pending.deployed), "baking", pending.deployed)
    else:
        pipeline.stage.remember_prepared(pending)
        pipeline.stage.revert(pending.deployed, pipeline.state.current)
    if pipeline.state.pending:  # current may lead to what is not proven: that is not started as if it were
        raise HostError(f"{pending.deployed.version} cannot be undone on this disk")


def _is_first(pipeline: Pipeline, pending: Pending) -> bool:
    """Whether ``current`` leads to a release before which there was none."""
    if pipeline.state.current or pending.phase != "switching":
        return False
    try:
        return pipeline.stage.releases.current() == pending.deployed.directory
    except OSError:
        return False


def _start_current(pipeline: Pipeline) -> None:
    current = _current(pipeline)
    pipeline.stage.keeper.state = replace(pipeline.state, current=current)
    if current and pipeline.application:
        pipeline.application.start(current)


def _current(pipeline: Pipeline) -> Deployed | None:
    """What ``current`` leads to; where it leads nowhere, it is made to lead to what ran last."""
    last, releases = pipeline.state.current, pipeline.stage.releases
    try:
        name = releases.current()
    except OSError:  # nobody can tell: then it is what ran last
        return last
    if name is None and last and releases.has(last.directory):
        releases.switch(last.directory)
        return last
    if name is None:
        return None
    known = {release.directory: release for release in pipeline.state.releases}
    # somebody may have pointed it elsewhere while dewy was away, or the state is lost: what it leads to is what runs
    return known.get(name) or Deployed(version="unknown", artifact="", url="", digest="", directory=name, at="")
