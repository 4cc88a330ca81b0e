"""Going back: to what, what is on hold then, and what is left when it fails or is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments import World
from dewy import events
from dewy.deployment import Stage
from dewy.errors import DewyError, StartError, UsageError
from dewy.journal import Journal
from dewy.operators.offline import NeverRan, look_at, operations_of
from dewy.operators.operations import Operations
from dewy.scope import facts
from dewy.state import State


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, keep_releases=2)
    for version in ("v1.0.0", "v1.1.0"):
        world.publish(version)
        world.deploy()
    return world


def operations(world: World) -> Operations:
    return world.deployer.operations


def held(world: World) -> list[str]:
    return [each.version for each in world.pipeline.state.held]


def test_the_version_before_runs_again_and_the_one_that_is_left_is_on_hold(world: World) -> None:
    done = operations(world).roll_back(None, "alice")
    assert (done.release.version, done.left.version) == ("v1.0.0", "v1.1.0")
    assert world.serving() == "v1.0.0"
    assert world.processes.calls[-1] == ("swap", "v1.0.0")
    assert held(world) == ["v1.1.0"]
    assert world.pipeline.state.pending is None
    told = world.said.of(events.ROLLBACK_DONE)[0]
    assert (told["version"], told["previous_version"]) == ("v1.0.0", "v1.1.0")


def test_the_next_poll_leaves_it_alone_until_a_newer_version_appears(world: World) -> None:
    operations(world).roll_back(None, "alice")
    world.start_dewy(interval=0.1)
    world.run(lambda: "on hold" in str((world.said.of(events.REGISTRY_POLLED) or [{}])[-1].get("decision")))
    assert world.serving() == "v1.0.0"
    world.publish("v1.2.0")
    world.start_dewy()
    world.run(lambda: world.serving() == "v1.2.0")


def test_other_bytes_under_the_version_that_was_left_are_tried(world: World) -> None:
    operations(world).roll_back(None, "alice")
    world.publish("v1.1.0", b"mended")
    world.start_dewy(interval=0.1)
    world.run(lambda: world.serving() == "mended" and not world.pipeline.state.held)


@pytest.mark.parametrize("asked", ["v1.0.0", "1.0.0"])
def test_a_version_can_be_named(world: World, asked: str) -> None:
    world.start_dewy(keep_releases=3)
    world.publish("v1.2.0")
    world.deploy()
    operations(world).roll_back(asked, "alice")
    assert world.serving() == "v1.0.0"
    assert held(world) == ["v1.2.0"]


def test_going_back_twice_goes_further_back_and_never_to_what_is_on_hold(world: World) -> None:
    world.start_dewy(keep_releases=3)
    world.publish("v1.2.0")
    world.deploy()
    operations(world).roll_back(None, "alice")
    operations(world).roll_back(None, "alice")
    assert world.serving() == "v1.0.0"
    with pytest.raises(DewyError, match=r"nothing to go back to .*v1\.1\.0 \(on hold\).*must be named"):
        operations(world).roll_back(None, "alice")
    operations(world).roll_back("v1.2.0", "alice")
    assert world.serving() == "v1.2.0"
    assert sorted(held(world)) == ["v1.0.0", "v1.1.0"]


@pytest.mark.parametrize(
    ("version", "says"),
    [("v9.9.9", r"v9\.9\.9 is not on this host's disk\. On disk are: v1\.0\.0"), ("v1.1.0", "is what runs here already")],
)
def test_what_cannot_be_gone_back_to_is_refused_and_changes_nothing(world: World, version: str, says: str) -> None:
    before = world.pipeline.state
    with pytest.raises(DewyError, match=says):
        operations(world).roll_back(version, "alice")
    assert world.pipeline.state == before
    assert world.processes.calls[-1] == ("swap", "v1.1.0")


def test_where_nothing_runs_there_is_nothing_to_go_back_from(tmp_path: Path) -> None:
    with pytest.raises(DewyError, match="nothing runs here yet"):
        World(tmp_path).deployer.operations.roll_back(None, "alice")


def test_a_version_that_does_not_start_any_more_leaves_everything_as_it_was(world: World) -> None:
    world.processes.broken.add("v1.0.0")
    with pytest.raises(StartError):
        operations(world).roll_back(None, "alice")
    assert world.serving() == "v1.1.0"
    assert held(world) == []
    assert world.pipeline.state.pending is None
    told = world.said.of(events.ROLLBACK_FAILED)[0]
    assert told["keeps"] == "v1.1.0 runs on"
    assert told["output"] == "boom\nbang"
    assert len(world.releases()) == 2


def test_what_would_be_gone_back_to_is_never_removed(world: World) -> None:
    """The one that ran before is the oldest by its name after two rollbacks, and two are kept."""
    world.start_dewy(keep_releases=3)
    world.publish("v1.2.0")
    world.deploy()
    operations(world).roll_back("v1.0.0", "alice")
    world.start_dewy(keep_releases=2)
    world.publish("v1.3.0")
    world.deploy()
    operations(world).roll_back(None, "alice")
    assert world.serving() == "v1.0.0"


def test_everything_said_meanwhile_tells_who_asked(world: World) -> None:
    causes: list[object] = []
    real = world.processes.swap
    world.processes.swap = lambda release, **_: (causes.append(facts().get("cause")), real(release))  # type: ignore[method-assign]
    operations(world).roll_back(None, "alice")
    assert causes == ["operator alice"]


class Killed(BaseException):
    """In place of SIGKILL: no handler of errors sees it."""


@pytest.mark.parametrize("step", ["note", "point_current_at", "settle"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_it_is_finished_by_the_next_dewy(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    real = getattr(Stage, step)

    def kill(*arguments: Any, **named: Any) -> None:
        if when == "after":
            real(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Stage, step, kill)
        with pytest.raises(Killed):
            operations(world).roll_back(None, "alice")
    world.start_dewy()
    world.recover()
    expected = "v1.1.0" if (step, when) == ("note", "before") else "v1.0.0"  # before the first write nothing has happened
    assert world.serving() == expected
    assert world.processes.serving is not None
    assert world.processes.serving.version == expected
    assert held(world) == ([] if expected == "v1.1.0" else ["v1.1.0"])
    assert world.pipeline.state.pending is None
    assert len(world.releases()) == 2


def test_killed_and_then_not_startable_it_stays_at_what_ran(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "point_current_at", kill)
        with pytest.raises(Killed):
            operations(world).roll_back(None, "alice")
    world.processes.broken.add("v1.0.0")
    world.start_dewy()
    world.recover()
    assert world.serving() == "v1.1.0"
    assert world.processes.calls[-1] == ("start", "v1.1.0")
    assert held(world) == []


# ------------------------------------------------------------------------------------------------------------- holds


def test_a_version_on_hold_is_not_deployed_whatever_its_bytes_until_it_is_off_hold(world: World) -> None:
    operations(world).hold("1.2.0", "alice")
    world.publish("v1.2.0")
    world.start_dewy(interval=0.1)
    world.run(lambda: "on hold" in str((world.said.of(events.REGISTRY_POLLED) or [{}])[-1].get("decision")))
    world.start_dewy()
    operations(world).unhold("v1.2.0", "bob")
    assert world.said.of(events.VERSION_UNHELD)[0]["reason"] == "bob has lifted the hold"
    world.run(lambda: world.serving() == "v1.2.0")


def test_what_is_not_on_hold_cannot_be_let_go(world: World) -> None:
    operations(world).hold("v3", "alice")
    with pytest.raises(DewyError, match=r"v2 is not on hold\. On hold are: v3"):
        operations(world).unhold("v2", "alice")


@pytest.mark.parametrize("version", ["", "  ", "\x1b[31m", "v" * 300])
def test_what_is_no_version_cannot_be_put_on_hold(world: World, version: str) -> None:
    with pytest.raises(UsageError, match="is no version"):
        operations(world).hold(version, "alice")


# ------------------------------------------------------------------------------------------------- where no dewy runs


def test_without_a_dewy_the_command_does_the_same_and_it_is_in_the_history(world: World) -> None:
    with operations_of(world.root, {}) as offline:
        done = offline.roll_back(None, "alice")
        offline.hold("v7", "alice")
    assert done.release.version == "v1.0.0"
    assert world.serving() == "v1.0.0"
    assert [entry.event for entry in Journal(world.root / ".dewy").entries()] == [
        *("rollback.done", "version.held", "version.held")
    ]
    assert {entry.field_text("cause") for entry in Journal(world.root / ".dewy").entries()} == {"operator alice"}
    world.start_dewy()
    world.recover()
    assert world.processes.calls[-1] == ("start", "v1.0.0")
    assert held(world) == ["v7", "v1.1.0"]


def test_a_deployment_in_which_dewy_was_killed_is_what_is_gone_back_from(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: Any, **_named: Any) -> None:
        raise Killed

    world.publish("v1.2.0")
    with monkeypatch.context() as patch:
        patch.setattr(world.processes, "swap", kill)
        with pytest.raises(Killed):
            world.deploy()
    assert world.serving() == "v1.2.0"
    with operations_of(world.root, {}) as offline:
        done = offline.roll_back(None, "alice")
    assert (done.release.version, done.left.version) == ("v1.1.0", "v1.2.0")
    assert world.serving() == "v1.1.0"
    world.start_dewy()
    assert held(world) == ["v1.2.0"]
    assert len(world.releases()) == 2


def test_where_no_dewy_has_run_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(NeverRan), operations_of(tmp_path, {}):
        raise AssertionError
    with pytest.raises(NeverRan):
        look_at(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_looking_changes_nothing_not_even_a_state_that_cannot_be_read(world: World) -> None:
    path = world.root / ".dewy" / "state.json"
    path.write_bytes(b"{")
    assert look_at(world.root).state == State()
    assert path.read_bytes() == b"{"
