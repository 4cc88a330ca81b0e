"""At every step into the world something goes wrong: dewy is killed, the disk is full or broken, a call never comes back.

The points are found by a run in which nothing goes wrong. Taken are, of each scene's steps: for a kill all that change
something, or begin a hook or a request (before any other step the disk is the same as before the next of these); a full
disk at every second one that takes space, in turn once and from then on until somebody makes room; EIO, EACCES and calls
that hang at a fixed spread, which leaves out most of the steps that only look. ``DEWY_FAULT_POINT=:`` takes all there are,
some 7,000, in twenty minutes: with ``--timeout 0``.

``-s`` prints how many of each there are. A point is named as in ``next: ENOSPC from then on at mkdir root/releases #1``:
``DEWY_FAULT_POINT`` has only those tried that have this text in their names, of all steps.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fault_scenes import NETWORK, SCENES, Host, Scene, serving
from fault_steps import CHANGES, KINDS, Fault, Kind, Step
from fault_trials import hang_out, install, recorded, try_out
from http_server import Server

ONLY = os.environ.get("DEWY_FAULT_POINT", "")
STRIDES: dict[Kind, int] = {"kill": 1, "ENOSPC": 2, "EIO": 9, "EACCES": 9, "hang": 20}
_SOCKETS = ("connect", "recv", "send")

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are told apart by /proc")


@dataclass(frozen=True)
class Stage:
    """A host from a directory, one from a web server, and the steps of every scene."""

    host: Host
    remote: Host
    steps: dict[str, list[Step]]

    def of(self, scene: Scene) -> Host:
        return self.remote if scene is NETWORK else self.host

    def faults(self, scene: Scene, kind: Kind) -> list[Fault]:
        """What is tried, in the order of the steps."""
        steps = [step for step in self.steps[scene.name] if step.suffers(kind)]
        if ONLY:
            both = [Fault(kind, step, lasting=lasting) for step in steps for lasting in (False, kind == "ENOSPC")]
            return [fault for fault in both if ONLY in f"{scene.name}: {fault}"]
        if kind == "kill":
            steps = [step for step in steps if step.function in CHANGES]
        offset = KINDS.index(kind) % STRIDES[kind]
        taken = steps[offset :: 1 if scene is NETWORK else STRIDES[kind]]
        return [Fault(kind, step, lasting=kind == "ENOSPC" and nth % 2 == 1) for nth, step in enumerate(taken)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch, Server(serving(folder / "remote" / "registry")) as server:
        install(patch, folder / "plugin")
        host = Host(folder / "world", folder / "templates")
        remote = Host(folder / "remote", folder / "remote templates", f"shelf://{server.host}")
        steps = {scene.name: recorded(host, scene) for scene in SCENES}
        steps[NETWORK.name] = [step for step in recorded(remote, NETWORK) if step.function in _SOCKETS]
        yield Stage(host, remote, steps)


def test_there_are_enough_points_and_each_is_another(stage: Stage) -> None:
    points = [(scene.name, fault) for scene in (*SCENES, NETWORK) for kind in KINDS for fault in stage.faults(scene, kind)]
    sys.stdout.write(f"\n{table([(fault.kind, fault.step.function) for _, fault in points])}\n")
    assert len({(scene, fault.kind, fault.step, fault.lasting) for scene, fault in points}) == len(points)
    # also when the same step of another scene does not count: what is done to what, for the how many-th time
    assert ONLY or len({(fault.kind, fault.step) for _, fault in points}) >= 200


def table(points: list[tuple[Kind, str]]) -> str:
    """How many there are of each kind at each function."""
    counts = Counter(points)
    rows = [["", *KINDS, "all"]]
    for function in sorted({function for _, function in points}):
        row = [counts[kind, function] for kind in KINDS]
        rows.append([function, *map(str, row), str(sum(row))])
    kinds = Counter(kind for kind, _ in points)
    rows.append(["all", *(str(kinds[kind]) for kind in KINDS), str(len(points))])
    return "\n".join("".join(f"{cell:>10}" for cell in row) for row in rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scene", [*SCENES, NETWORK], ids=lambda scene: scene.name)
def test_whatever_goes_wrong_the_host_serves_and_goes_on(
    stage: Stage, scene: Scene, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, wrong = stage.of(scene), []
    if kind == "hang":
        monkeypatch.setattr("dewy.deployer._REGISTRY_LIMIT", 0.3)
        monkeypatch.setattr("dewy.fetch._STALL", 0.3)
    for fault in stage.faults(scene, kind):
        try:
            (hang_out if kind == "hang" else try_out)(host, scene, fault)
        except (AssertionError, Exception) as error:
            wrong.append(f"{scene.name}: {fault}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
