"""The user's own hooks, and those of plugins beside them: when each runs, what it is told, and what is said of it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dewy import events
from dewy.errors import HookError, PluginError
from dewy.hooks import DeployHooks
from dewy.hooks.process import HookRun
from dewy.hooks.shell import explain
from dewy.journal import is_recorded
from dewy.notify import is_told
from dewy.plugins import Hook, Plugin, Plugins
from dewy.redaction import Redactor
from dewy.scope import within
from dewy.settings import Settings
from dewy.stream import EventStream
from dewy.supervisor.procfs import all_processes
from dewy.testing.recorder import Recorder
from dewy.types import Deployment, Event, Outcome, Result
from dewy.waker import Stopping
from dewy.wiring import Wiring

PRINT_ALL = "env | grep ^DEWY_ | sort > $DEWY_HOOK"


class World:
    """The hooks of one host, and what is said of them."""

    def __init__(self, root: Path, emit: events.Emit | None = None, **settings: Any) -> None:
        self.said = Recorder()
        environ = {"PATH": os.environ["PATH"], "API_TOKEN": "hunter2hunter2"}
        given = Settings(command="assets", root=root, registry=f"file://{root}", environ=environ, **settings)
        self.runtime = Wiring.of(given, Redactor(environ), emit or self.said).runtime
        self.hooks = DeployHooks(self.runtime)
        self.deployment = Deployment(
            version="v1.1.0", previous_version="v1.0.0", artifact="shop.tar.gz", digest="sha256:00",
            directory=root / "releases" / "20240315T143022Z", root=root, command="assets",
        )  # fmt: skip

    def follow(self, outcome: Outcome, error: str | None = None) -> None:
        self.hooks.follow(self.deployment, Result(outcome, 1.0, error))

    def with_plugin(self, name: str, function: Callable[..., None], *arguments: str) -> None:
        """A plugin with one hook."""
        hook = Hook(Plugin("nosy", "dewy-nosy", "1", "loaded"), name, function, arguments)
        self.runtime = replace(self.runtime, plugins=Plugins([hook.plugin], [hook]))
        self.hooks = DeployHooks(self.runtime)


def test_all_hooks_of_a_deployment_are_told_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, before_hook=PRINT_ALL, after_hook=PRINT_ALL, rollback_hook=PRINT_ALL)
    world.hooks.ask(world.deployment)
    world.follow("deployed")
    world.follow("rolled_back", "it died\nwithin the bake time")
    told = {
        "DEWY_COMMAND": "assets",
        "DEWY_DEPLOYMENT": "20240315T143022Z",
        "DEWY_ERROR": "",
        "DEWY_PREVIOUS_VERSION": "v1.0.0",
        "DEWY_RELEASE_DIR": str(tmp_path / "releases" / "20240315T143022Z"),
        "DEWY_VERSION": "v1.1.0",
    }
    for phase in ("before", "after", "rollback"):
        expected = {**told, "DEWY_HOOK": phase}
        if phase == "rollback":
            expected["DEWY_ERROR"] = "it died within the bake time"
        assert dict(line.split("=", 1) for line in (tmp_path / phase).read_text().splitlines()) == expected


@pytest.mark.parametrize(
    ("outcome", "ran"), [("deployed", ["after"]), ("rolled_back", ["rollback"]), ("failed", []), ("vetoed", [])]
)
def test_the_after_hook_runs_only_for_what_runs_and_the_rollback_hook_only_for_what_was_undone(
    outcome: Outcome, ran: list[str], tmp_path: Path
) -> None:
    world = World(tmp_path, before_hook=PRINT_ALL, after_hook=PRINT_ALL, rollback_hook=PRINT_ALL)
    world.follow(outcome)
    assert [path.name for path in tmp_path.iterdir()] == ran
    assert [fields["phase"] for fields in world.said.of(events.HOOK_DONE)] == ran


@pytest.mark.parametrize("error", ["a\0b", "\ud800", "long " * 100_000, "\x1b[31m\u2028"])
def test_whatever_the_error_is_the_rollback_hook_is_told(error: str, tmp_path: Path) -> None:
    world = World(tmp_path, rollback_hook='printf %s "$DEWY_ERROR" > error')
    world.follow("rolled_back", error)
    assert world.said.of(events.HOOK_FAILED) == []
    told = (tmp_path / "error").read_text()
    assert told.isprintable()
    assert 1 <= len(told) <= 1000


def test_output_is_told_line_by_line_and_its_end_at_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, before_hook="echo one; echo $API_TOKEN >&2; printf three; exit 3")
    with pytest.raises(HookError, match=r"^the before hook 'echo .* ended with status 3\. See its output"):
        world.hooks.ask(world.deployment)
    assert [fields["line"] for fields in world.said.of(events.HOOK_OUTPUT)] == ["one", "***", "three"]
    (failed,) = world.said.of(events.HOOK_FAILED)
    assert (failed["output"], failed["output_size"], failed["status"]) == ("one\n***\nthree", 24, 3)
    assert world.said.names == ["hook.output"] * 3 + ["hook.failed"]


def test_each_line_belongs_to_the_deployment(tmp_path: Path) -> None:
    """Also though it is read in another thread."""
    stream, heard = EventStream(Redactor()), list[Event]()
    stream.subscribe("test", heard.append)
    world = World(tmp_path, stream.emit, after_hook="echo one; echo two")
    with within(deployment="20240315T143022Z"):
        world.follow("deployed")
    stream.close(10)
    assert [(event.text, event.fields["deployment"]) for event in heard[:2]] == [
        ("after hook: one", "20240315T143022Z"), ("after hook: two", "20240315T143022Z"),
    ]  # fmt: skip
    assert heard[0].fields["version"] == "v1.1.0"


def test_lines_are_for_the_log_only() -> None:
    assert not is_told("hook.output", "info")
    assert not is_recorded("hook.output", "info")


def test_a_failing_after_hook_is_told_once_and_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, after_hook="exit 7")
    world.follow("deployed")
    assert world.said.names == ["hook.failed"]
    assert world.said.of(events.HOOK_FAILED)[0]["error"] == "ended with status 7"


def test_one_that_cannot_be_started_has_failed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    world = World(gone, before_hook="true", after_hook="true")
    gone.rmdir()
    with pytest.raises(HookError, match=r"the before hook 'true' cannot be started: .*No such file"):
        world.hooks.ask(world.deployment)
    world.follow("deployed")
    assert [fields["phase"] for fields in world.said.of(events.HOOK_FAILED)] == ["before", "after"]
    assert world.said.of(events.HOOK_FAILED)[0]["status"] is None


def test_one_that_takes_too_long_has_failed(tmp_path: Path) -> None:
    world = World(tmp_path, before_hook="echo begun; sleep 60", hook_timeout=0.5)
    with pytest.raises(HookError, match=r"was killed after 0\.5s, its time limit"):
        world.hooks.ask(world.deployment)
    assert world.said.of(events.HOOK_FAILED)[0]["output"] == "begun"


def test_how_a_command_has_ended_is_said() -> None:
    assert explain(HookRun(0), 30) == ""
    assert explain(HookRun(127), 30) == "ended with status 127"
    assert explain(HookRun(-signal.SIGKILL), 30) == "was ended by SIGKILL"
    assert explain(HookRun(-40), 30) == "was ended by signal 40"
    assert explain(HookRun(None), 30) == "was killed after 30s, its time limit"


def test_a_plugin_that_vetoes_keeps_the_command_from_running(tmp_path: Path) -> None:
    def veto(_deployment: Deployment) -> None:
        raise LookupError("not on a Friday")

    world = World(tmp_path, before_hook="touch ran")
    world.with_plugin("dewy_before_deploy", veto, "deployment")
    with pytest.raises(PluginError, match="dewy-nosy failed while dewy_before_deploy: LookupError: not on a Friday"):
        world.hooks.ask(world.deployment)
    assert not (tmp_path / "ran").exists()


def test_a_plugin_that_fails_to_follow_is_told_and_keeps_no_command_from_running(tmp_path: Path) -> None:
    def fail(_result: Result) -> None:
        raise LookupError("nobody listens")

    world = World(tmp_path, rollback_hook="touch ran")
    world.with_plugin("dewy_after_deploy", fail, "result")
    world.follow("rolled_back", "it died")
    (failed,) = world.said.of(events.HOOK_FAILED)
    assert (failed["phase"], failed["hook"]) == ("rollback", "dewy-nosy")
    assert "nobody listens" in str(failed["error"])
    assert (tmp_path / "ran").exists()


def when_there(path: Path, act: Callable[[], None]) -> threading.Thread:
    """Acts as soon as a file is there."""

    def wait() -> None:
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_when_dewy_stops_a_before_hook_may_finish_but_nothing_is_begun_after_it(tmp_path: Path) -> None:
    world = World(tmp_path, before_hook="touch begun; sleep 0.5; touch finished")
    stopper = when_there(tmp_path / "begun", world.runtime.waker.stop)
    with pytest.raises(Stopping):
        world.hooks.ask(world.deployment)
    stopper.join()
    assert (tmp_path / "finished").exists()
    assert world.said.names == ["hook.done"]


def test_one_that_is_ended_because_dewy_stops_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, after_hook="touch begun; sleep 60", stop_timeout=0.1)
    stopper = when_there(tmp_path / "begun", world.runtime.waker.stop)
    with pytest.raises(Stopping):
        world.follow("deployed")
    stopper.join()
    assert world.said.of(events.HOOK_FAILED)[0]["error"] == "was ended because dewy stops"


def test_a_dewy_that_is_asked_to_stop_leaves_no_hook_behind(tmp_path: Path) -> None:
    """With a hook that hangs and does not listen it stops within the stop time-out all the same."""
    folder, root = tmp_path / "registry" / "v1.0.0", tmp_path / "root"
    folder.mkdir(parents=True)
    root.mkdir()
    with tarfile.open(folder / "shop.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("index.html"), io.BytesIO())
    hook = "trap '' TERM; sleep 61 & echo $! > pid.new; mv pid.new pid; wait; sleep 61"
    options = ["--registry", f"file://{tmp_path}/registry", "-C", str(root), "--before-deploy-hook", hook]
    command = [sys.executable, "-m", "dewy", "server", *options, "--stop-timeout", "4s", "--", "true"]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as dewy:
        when_there(root / "pid", lambda: dewy.send_signal(signal.SIGTERM)).join()
        try:
            assert dewy.wait(4 + 2) == 0  # and two for what an interpreter takes to end on a busy machine
        finally:
            dewy.kill()
    left = int((root / "pid").read_text())
    assert not [process for process in all_processes() if process.pid == left and process.is_alive]
    assert not (root / "current").exists()
