"""Trials: a scene, a fault in the midst of it, and what must hold afterwards. Each fault is tried on a disk of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

import fault_layer
from dewy.deployment import RolledBack
from dewy.errors import DewyError
from dewy.operators.offline import look_at
from dewy.plugins import Plugins, load_plugins
from dewy.testing import write_distribution
from fault_layer import Life
from fault_scenes import LAST, Host, QuickWaker, Scene, plugin_of
from fault_steps import Fault, Step

_PATIENCE = 30.0


def install(patch: pytest.MonkeyPatch, directory: Path) -> None:
    """The layer, time that flies, and plugins that are not looked for anew at each start."""
    modules = {"dewy_fault_shelf.py": plugin_of()}
    write_distribution(directory, "dewy-fault-shelf", "1.0", entry_points={"main": "dewy_fault_shelf"}, modules=modules)
    patch.syspath_prepend(str(directory))
    plugins = load_plugins({})
    sys.modules.pop("dewy_fault_shelf")

    def loaded(_environ: Mapping[str, str]) -> Plugins:
        return plugins

    patch.setattr("dewy.wiring.load_plugins", loaded)
    patch.setattr("dewy.wiring.Waker", QuickWaker)
    fault_layer.install(patch)


def rolls_back(host: Host) -> RolledBack:
    """What an operator asks for."""
    return host.deployer.operations.roll_back(None, "alice")


def recorded(host: Host, scene: Scene) -> list[Step]:
    """The steps of a scene in which nothing goes wrong, but for those that are as in the scene before."""
    host.begin(scene)
    life = Life(host.directory)
    _go_through(host, scene, life)
    assert host.is_settled, host.said.texts()[-12:]
    first = next((nth for nth, step in enumerate(life.steps) if str(step) == scene.since), 0)
    return life.steps[first:]


def try_out(host: Host, scene: Scene, fault: Fault) -> None:
    """A scene with a fault in it, the next good version after it, a restart and a rollback. Raises AssertionError."""
    _begin(host, scene)
    try:
        _go_through(host, scene, Life(host.directory, fault))
    except DewyError:  # it could not even start; who has started it does so again
        fault.lift()
        host.live(Life(host.directory))
    agreed, asked = "", 0
    if host.life.dead:
        host.check_disk()
        agreed = host.agreed()
        asked = host.asked_before(agreed)
        host.live(Life(host.directory))
    _end(host, scene, fault)
    assert not agreed or host.asked_before(agreed) == asked, "a hook that had agreed was asked again"


def hang_out(host: Host, scene: Scene, fault: Fault) -> None:
    """As :func:`try_out`, with a call that does not come back before others have seen that dewy is still there."""
    _begin(host, scene)
    raised: list[BaseException] = []

    def lives() -> None:
        try:
            _go_through(host, scene, Life(host.directory, fault))
        except BaseException as error:  # told by the test's own thread
            raised.append(error)

    thread = threading.Thread(target=lives, daemon=True)
    thread.start()
    try:
        assert fault.struck.wait(_PATIENCE), "the fault has not struck"
        host.check_disk()
        if (host.root / ".dewy").exists():
            assert look_at(host.root).state == host.state()
        # a plugin's call is given up; but whoever reads or writes dewy's own copy of an artifact waits for the same disk
        if fault.thread is not thread and not fault.step.place.startswith("root/.dewy/tmp"):
            thread.join(_PATIENCE)
            assert not thread.is_alive(), "dewy waits for ever for a plugin"
    finally:
        fault.lift()
        thread.join(_PATIENCE)
        fault.thread.join(_PATIENCE)
    if raised:
        raise raised[0]
    _end(host, scene, fault)


def _begin(host: Host, scene: Scene) -> None:
    host.begin(scene)

    def over() -> None:
        host.check_disk()
        host.check_served()
        host.ended = host.serving()
        host.publish(LAST)

    host.when_quiet = over


def _go_through(host: Host, scene: Scene, life: Life) -> None:
    life.watched = scene.watches != "rest"
    host.live(life, rolls_back if scene.rolls_back else None)


def _end(host: Host, scene: Scene, fault: Fault) -> None:
    """What must hold in the end; then one more start, and back from the last version to the one that ran before it."""
    assert fault.struck.is_set(), "the fault has not struck"
    assert host.is_settled, f"it did not come to rest: {host.said.texts()[-12:]}"
    assert host.ended in scene.ends, f"{host.ended} ran when all was over"
    held = [each.version for each in host.state().held]
    assert held.count(scene.publishes) == (scene.fate != "good"), f"on hold are {held}"
    _check(host, scene, LAST)
    if fault.kind == "ENOSPC":  # what a dead dewy has left, or a broken disk has not let go, goes at the next start
        host.check_tidy()
    host.live(Life(host.directory), rolls_back)
    assert host.asked is not None
    host.asked.result(0)
    _check(host, scene, host.ended)
    host.check_tidy()


def _check(host: Host, scene: Scene, version: str) -> None:
    host.check_disk()
    host.check_served()
    host.check_told(scene)
    assert host.serving() == version, f"current leads to {host.serving()} in place of {version}"
