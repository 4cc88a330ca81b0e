"""Preflight, bake and retreat: a version that is no good is left for one that is."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments import World
from dewy import events
from dewy.deployment import DeploymentFailed, take_up
from dewy.errors import HostError, StartError
from dewy.health import blame
from dewy.state import Deployed


def world_with(tmp_path: Path, *versions: str, **settings: Any) -> World:
    world = World(tmp_path, **{"bake_time": 0.3, "interval": 0.1, **settings})
    for version in versions:
        world.publish(version)
        world.deploy()
    world.processes.calls.clear()
    return world


def held(world: World) -> list[str]:
    return sorted(each.version for each in world.pipeline.state.held)


def failed(world: World, version: str) -> DeploymentFailed:
    """Deploys a version, which must fail, and tells it as the loop does."""
    world.publish(version)
    with pytest.raises(DeploymentFailed) as caught:
        world.deploy()
    world.pipeline.aftermath.tell_failure(caught.value)
    return caught.value


# ----------------------------------------------------------------------------------------------------------- preflight


def test_without_a_health_check_there_is_no_preflight(tmp_path: Path) -> None:
    world = world_with(tmp_path, "v1.0.0", "v1.1.0")
    world.publish("v1.2.0")
    world.deploy()
    assert world.processes.calls == [("swap", "v1.2.0")]


def test_a_healthy_version_is_tried_and_then_takes_over(tmp_path: Path) -> None:
    world = world_with(tmp_path, health_command="test $DEWY_VERSION = v1.0.0 && test -d $DEWY_RELEASE_DIR")
    world.publish("v1.0.0")
    world.deploy()
    assert world.processes.calls == [("preflight", "v1.0.0"), ("end of preflight", "v1.0.0"), ("swap", "v1.0.0")]
    done = world.said.of(events.DEPLOYMENT_DONE)[0]
    assert done["preflight_seconds"] is not None
    assert done["bake_seconds"] is not None


def test_an_unhealthy_version_never_takes_over_and_is_held(tmp_path: Path) -> None:
    world = world_with(
        tmp_path, "v1.0.0", health_command='echo "no $DEWY_VERSION"; test $DEWY_VERSION = v1.0.0', health_timeout=0.5,
        rollback_hook="echo $DEWY_VERSION to $DEWY_PREVIOUS_VERSION >> undone", after_hook="echo $DEWY_VERSION >> done",
    )  # fmt: skip
    failure = failed(world, "v1.1.0")
    assert failure.phase == "preflight"
    assert "it failed its health command, which ended with status 1 (no v1.1.0)" in str(failure)
    assert ("swap", "v1.1.0") not in world.processes.calls
    assert world.serving() == "v1.0.0"
    assert held(world) == ["v1.1.0"]
    assert (world.root / "undone").read_text() == "v1.1.0 to v1.0.0\n"
    assert (world.root / "done").read_text() == "v1.0.0\n"
    assert world.said.of(events.DEPLOYMENT_FAILED)[0]["output"] == "it was said"
    assert len(world.releases()) == 1


def test_a_preflight_can_be_done_without(tmp_path: Path) -> None:
    """Then the check follows the swap, and a version that fails it is left again."""
    world = world_with(tmp_path, "v1.0.0", health_command="test $DEWY_VERSION = v1.0.0", health_timeout=0.5, preflight=False)
    failure = failed(world, "v1.1.0")
    assert failure.phase == "bake"
    assert [call for call in world.processes.calls if call[0] != "swap"] == []
    assert world.serving() == "v1.0.0"
    assert held(world) == ["v1.1.0"]


def test_what_serves_goes_first_when_it_dies_meanwhile_and_the_version_is_not_held(tmp_path: Path) -> None:
    world = world_with(tmp_path, "v1.0.0", health_command="test $DEWY_VERSION = v1.0.0", health_timeout=20)
    serving = world.processes.serving
    assert serving
    world.processes.comes_again = True
    threading.Timer(0.3, lambda: world.processes.die(serving, StartError("it died"))).start()
    began = time.monotonic()
    failure = failed(world, "v1.1.0")
    assert time.monotonic() - began < 5
    assert isinstance(failure.cause, HostError)
    assert "is started again first" in str(failure)
    assert held(world) == []


def test_current_is_settled_again_before_any_hook_runs(tmp_path: Path) -> None:
    world = world_with(tmp_path, "v1.0.0", rollback_hook="readlink current > seen")
    world.processes.broken.add("v1.1.0")
    switching: list[bool] = []
    follow = world.pipeline._hooks.follow
    world.pipeline._hooks.follow = lambda *all: (switching.append(world.processes.is_switching), follow(*all))[1]  # type: ignore[method-assign]
    failed(world, "v1.1.0")
    assert switching == [False]
    assert (world.root / "seen").read_text().strip() == f"releases/{world.releases()[0]}"


# ---------------------------------------------------------------------------------------------------------------- bake


def test_a_version_that_dies_while_it_bakes_is_left_for_the_one_before(tmp_path: Path) -> None:
    world = world_with(
        tmp_path, "v1.0.0", after_hook="echo $DEWY_VERSION >> after", rollback_hook="echo $DEWY_ERROR >> undone"
    )
    world.processes.spoilt.add("v1.1.0")
    failure = failed(world, "v1.1.0")
    assert failure.phase == "bake"
    assert world.processes.calls == [("swap", "v1.1.0"), ("swap", "v1.0.0")]
    assert world.serving() == "v1.0.0"
    assert held(world) == ["v1.1.0"]
    assert (world.root / "after").read_text() == "v1.0.0\n"
    assert "v1.1.0 died (exit status 3)" in (world.root / "undone").read_text()
    told = world.said.of(events.DEPLOYMENT_FAILED)[0]
    assert (told["keeps"], told["output"]) == ("v1.0.0 runs again", "oh")
    assert len(world.said.of(events.ROLLBACK_DONE)) == 1
    assert "deployment.done" not in [name for name in world.said.names if "v1.1.0" in name]
    world.start_dewy()
    assert held(world) == ["v1.1.0"], "also after a restart"
    with pytest.raises(AssertionError):  # it is not tried again
        world.run(lambda: world.processes.calls.count(("swap", "v1.1.0")) > 1, seconds=1)


def test_one_that_turns_out_spoilt_is_left_for_the_one_before_that_and_a_held_one_is_passed_over(tmp_path: Path) -> None:
    world = world_with(tmp_path, "v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0")
    world.deployer.operations.hold("v1.2.0", "alice")
    world.processes.spoilt |= {"v1.4.0", "v1.3.0", "v1.1.0"}
    failed(world, "v1.4.0")
    assert [version for _, version in world.processes.calls] == ["v1.4.0", "v1.3.0", "v1.1.0", "v1.0.0"]
    assert world.serving() == "v1.0.0"
    assert held(world) == ["v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0"]
    assert world.pipeline.state.pending is None


def test_one_that_does_not_start_any_more_is_passed_over_too(tmp_path: Path) -> None:
    world = world_with(tmp_path, "v1.0.0", "v1.1.0")
    world.processes.spoilt.add("v1.2.0")
    world.processes.broken.add("v1.1.0")
    failed(world, "v1.2.0")
    assert world.serving() == "v1.0.0"
    assert held(world) == ["v1.1.0", "v1.2.0"]


def test_where_all_are_spoilt_the_last_one_is_tried_on_and_a_new_version_ends_it(tmp_path: Path) -> None:
    world = world_with(tmp_path, "v1.0.0")
    world.processes.spoilt |= {"v1.0.0", "v1.1.0"}
    failed(world, "v1.1.0")
    assert world.serving() == "v1.0.0"
    world.publish("v1.2.0")
    world.deploy()
    assert world.serving() == "v1.2.0"


def test_a_first_version_is_kept_and_not_held(tmp_path: Path) -> None:
    """There is nothing better; the supervisor starts it again and again, and the registry is asked on."""
    world = world_with(tmp_path)
    world.processes.spoilt.add("v1.0.0")
    failure = failed(world, "v1.0.0")
    assert not failure.held
    assert world.said.texts()[-1].endswith("there is no version to go back to; v1.0.0 is started again and again")
    assert world.serving() == "v1.0.0"
    assert held(world) == []
    world.publish("v1.1.0")
    world.start_dewy()
    world.run(lambda: world.serving() == "v1.1.0")


def test_a_check_that_fails_now_and_then_is_no_reason_to_leave(tmp_path: Path) -> None:
    """Two of three, again and again."""
    count = "n=$(($(cat n 2>/dev/null || echo 0) + 1)); echo $n > n; test $((n % 3)) -eq 1"
    world = world_with(tmp_path, health_command=count, bake_time=0.3, preflight=False)
    world.publish("v1.0.0")
    world.deploy()
    assert held(world) == []


# ------------------------------------------------------------------------------------------------ the host is to blame


def test_a_full_disk_is_not_held_against_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_with(tmp_path, "v1.0.0")
    world.processes.broken.add("v1.1.0")
    full = SimpleNamespace(f_bavail=0, f_frsize=4096, f_files=10, f_favail=5)
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    failure = failed(world, "v1.1.0")
    assert isinstance(failure.cause, HostError)
    assert "is full" in str(failure)
    assert held(world) == []
    monkeypatch.undo()
    world.processes.broken.clear()
    world.start_dewy()
    world.run(lambda: world.serving() == "v1.1.0")


@pytest.mark.parametrize(
    ("code", "kills", "blamed"), [(-signal.SIGKILL, 1, True), (-signal.SIGKILL, 0, False), (1, 1, False)]
)
def test_memory_that_is_short_is_not_held_against_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kills: int, blamed: bool
) -> None:
    world = world_with(tmp_path, "v1.0.0")
    counter = tmp_path / "vmstat"
    counter.write_text("nr_free_pages 1\noom_kill 7\n")
    monkeypatch.setattr(blame, "_KILLS", counter)

    def die(_release: Deployed, *, gives_way: bool) -> None:
        counter.write_text(f"oom_kill {7 + kills}\n")
        raise StartError("it was killed", code=code)

    monkeypatch.setattr(world.processes, "swap", die)
    failure = failed(world, "v1.1.0")
    assert isinstance(failure.cause, HostError) is blamed
    assert held(world) == ([] if blamed else ["v1.1.0"])


def hindered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host on which v1.2.0 has failed, and v1.1.0 does not start because the disk is full by then."""
    world = world_with(tmp_path, "v1.0.0", "v1.1.0", bake_time=0.1)
    world.processes.spoilt.add("v1.2.0")
    real = world.processes.swap

    def swap(release: Deployed, *, gives_way: bool = False) -> None:
        if release.version == "v1.1.0":
            full = SimpleNamespace(f_bavail=0, f_frsize=4096, f_files=10, f_favail=5)
            monkeypatch.setattr(os, "statvfs", lambda _path: full)
            raise StartError("v1.1.0 exited at once with status 1", code=1)
        real(release, gives_way=gives_way)

    with monkeypatch.context() as patch:
        patch.setattr(world.processes, "swap", swap)
        failed(world, "v1.2.0")
        assert held(world) == ["v1.2.0"]
        assert world.serving() == "v1.2.0"
        for _ in range(3):
            take_up(world.pipeline)
    assert [told["version"] for told in world.said.of(events.ROLLBACK_FAILED)] == ["v1.1.0"], "it is told once"
    assert held(world) == ["v1.2.0"]
    monkeypatch.undo()
    return world


def test_a_version_that_the_host_keeps_from_coming_back_comes_back_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = hindered(tmp_path, monkeypatch)
    take_up(world.pipeline)
    assert world.serving() == "v1.1.0"
    assert held(world) == ["v1.2.0"]
    assert world.pipeline.state.pending is None


@pytest.mark.parametrize("way", ["", "broken", "spoilt"])
def test_a_dewy_that_is_started_on_the_way_back_goes_on_and_further_back_if_need_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    world = hindered(tmp_path, monkeypatch)
    if way:
        getattr(world.processes, way).add("v1.1.0")
    world.start_dewy()
    world.recover()
    assert world.serving() == ("v1.0.0" if way else "v1.1.0")
    assert held(world) == (["v1.1.0", "v1.2.0"] if way else ["v1.2.0"])
    assert world.pipeline.state.pending is None
    assert world.processes.calls[-1] == ("swap", world.serving())


def test_where_nothing_is_left_to_go_back_to_a_started_dewy_keeps_trying_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = hindered(tmp_path, monkeypatch)
    world.processes.broken |= {"v1.0.0", "v1.1.0"}
    world.processes.spoilt.clear()
    world.start_dewy()
    world.recover()
    assert world.processes.calls[-1] == ("start", "v1.2.0")
    assert world.pipeline.state.pending is None


# ------------------------------------------------------------------------------------------- operators come in between


@pytest.mark.parametrize("order", ["roll_back", "hold"])
def test_an_operator_need_not_wait_until_a_version_is_proven(tmp_path: Path, order: str) -> None:
    world = world_with(tmp_path, "v1.0.0", after_hook="echo $DEWY_VERSION >> after")
    world.start_dewy(bake_time=600.0 if order == "roll_back" else 2.0)
    world.publish("v1.1.0")
    thread = threading.Thread(target=world.deployer.run, daemon=True)
    thread.start()
    try:
        until(lambda: world.deployer.activity == "deploying v1.1.0 (bake)")
        operations = world.deployer.operations
        asked = (
            (lambda: operations.roll_back(None, "alice"))
            if order == "roll_back"
            else (lambda: operations.hold("v9", "alice"))
        )
        world.deployer.inbox.ask(asked).result(5)
        if order == "roll_back":
            assert world.serving() == "v1.0.0"
            assert not world.pipeline.bakes
        else:
            until(lambda: (world.root / "after").exists() and "v1.1.0" in (world.root / "after").read_text())
    finally:
        world.wiring.runtime.waker.stop()
        thread.join(10)
    if order == "roll_back":
        assert not (world.root / "after").exists() or "v1.1.0" not in (world.root / "after").read_text()
    assert "deployment.interrupted" not in world.said.names


def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
