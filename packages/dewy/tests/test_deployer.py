"""The loop: polling, deciding, and waiting."""

from __future__ import annotations

import shutil
import stat
import threading
from pathlib import Path

import pytest

from deployments import World
from dewy import events
from dewy.backoff import retry_after
from dewy.errors import RegistryError


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, interval=0.1)


def test_versions_are_deployed_as_they_are_published(world: World) -> None:
    world.publish("v1.0.0")
    world.run(lambda: world.processes.serving and world.processes.serving.version == "v1.0.0")
    world.start_dewy()
    world.publish("v1.10.0")
    world.publish("v1.9.0")
    world.run(lambda: (world.root / "current").exists() and world.serving() == "v1.10.0")
    assert ("swap", "v1.9.0") not in world.processes.calls


def test_the_registry_is_the_truth_also_when_it_goes_back(world: World) -> None:
    world.publish("v1.0.0")
    world.publish("v2.0.0")
    world.run(lambda: world.processes.serving and world.processes.serving.version == "v2.0.0")
    world.withdraw("v2.0.0")
    world.start_dewy()
    world.run(lambda: world.processes.calls[-1] == ("swap", "v1.0.0"))


def test_a_registry_that_fails_is_told_with_growing_waits_and_its_recovery_too(world: World) -> None:
    world.publish("v1.0.0")
    away = world.registry.with_name("away")
    world.registry.rename(away)
    world.run(lambda: len(world.said.of(events.REGISTRY_FAILED)) >= 3)
    waits = [float(str(failure["retry_seconds"])) for failure in world.said.of(events.REGISTRY_FAILED)]
    assert waits[0] <= 0.2 <= waits[2] <= 0.8
    assert [failure["failures"] for failure in world.said.of(events.REGISTRY_FAILED)][:3] == [1, 2, 3]
    threading.Timer(0.3, lambda: away.rename(world.registry)).start()
    world.start_dewy()
    world.run(lambda: world.processes.serving is not None)
    assert "registry.recovered" in world.said.names


def test_a_deployment_that_fails_is_tried_again_ever_less_often(tmp_path: Path) -> None:
    world = World(tmp_path, interval=0.1, before_hook="echo tried >> tries; test -e please")
    world.publish("v1.0.0")
    world.run(lambda: len(world.said.of(events.DEPLOYMENT_FAILED)) >= 4)
    tries = (world.root / "tries").read_text().count("tried")
    polls = len(world.said.of(events.REGISTRY_POLLED))
    assert tries <= polls / 2
    assert any("tried again in" in str(poll["decision"]) for poll in world.said.of(events.REGISTRY_POLLED))
    (world.root / "please").touch()
    world.start_dewy()
    world.run(lambda: world.processes.serving is not None)


def test_a_held_version_is_tried_once_and_the_next_one_is_taken(world: World) -> None:
    world.publish("v1.0.0")
    world.run(lambda: world.processes.serving is not None)
    world.processes.broken.add("v1.1.0")
    world.publish("v1.1.0")
    world.start_dewy()
    world.run(lambda: "on hold" in str((world.said.of(events.REGISTRY_POLLED) or [{}])[-1].get("decision")))
    assert world.processes.calls.count(("swap", "v1.1.0")) == 1
    world.start_dewy()
    world.publish("v1.2.0")
    world.run(lambda: world.processes.calls[-1] == ("swap", "v1.2.0"))
    assert world.processes.calls.count(("swap", "v1.1.0")) == 1


def test_a_release_on_its_way_is_no_error(world: World) -> None:
    world.publish("v1.0.0")
    world.run(lambda: world.processes.serving is not None)
    world.start_dewy()
    (world.registry / "v1.1.0").mkdir()
    (world.registry / "v1.1.0" / "checksums.txt").write_text("")
    world.run(lambda: "registry.pending" in world.said.names)
    assert "registry.failed" not in world.said.names


def test_a_fault_of_ours_ends_neither_loop_nor_service(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish("v1.0.0")
    faults = iter([RuntimeError("a bug")])
    real = world.pipeline.stage.keeper.catch_up

    def catch_up() -> None:
        for fault in faults:
            raise fault
        real()

    monkeypatch.setattr(world.pipeline.stage.keeper, "catch_up", catch_up)
    world.run(lambda: world.processes.serving is not None)
    (fault,) = world.said.of(events.DEWY_FAULT)
    assert fault["error"] == "RuntimeError: a bug"
    assert "catch_up" in str(fault["traceback"])


def test_a_wait_that_the_other_side_asked_for_is_found_in_the_cause() -> None:
    class Limited(RegistryError):
        retry_after = 77.0

    wrapped = RegistryError("no answer")
    wrapped.__cause__ = Limited("slow down")
    assert retry_after(wrapped) == 77
    assert retry_after(RegistryError("no")) == 0


def test_permissions_and_places_of_what_dewy_keeps(world: World) -> None:
    world.publish("v1.0.0")
    world.run(lambda: world.said.names.count("registry.polled") > 1)  # by then all that a deployment writes is written
    assert stat.S_IMODE((world.root / ".dewy").stat().st_mode) == 0o700
    assert sorted(path.name for path in world.root.iterdir()) == [".dewy", "current", "releases"]
    shutil.rmtree(world.root / ".dewy")
