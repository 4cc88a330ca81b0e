"""The commands of operators, as they are typed, against a dewy that runs and one that does not."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from load import Load
from publishing import Archive, Directory, pack
from running import DEWY, Running, dewy, environment, eventually, free_port, running

BROKEN = pack({"myapp": (b"#!/bin/sh\necho there is no database\nexit 3\n", 0o755)})


def status(root: Path, expected: int = 0) -> dict[str, Any]:
    done = dewy("status", "--json", "-C", str(root))
    assert done.returncode == expected, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def history(root: Path, *arguments: str) -> list[dict[str, Any]]:
    done = dewy("history", "--json", "-C", str(root), *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def served(registry: Directory, root: Path, port: int, go_archive: Archive) -> Iterator[Running]:
    """Two versions of a Go server, deployed one after the other."""
    arguments = ["--registry", registry.url, "-p", f"127.0.0.1:{port}", "-i", "0.2s", "-C", str(root)]
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    with running("server", *arguments, "--start-grace", "0.3s", "--", "./current/myapp") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", go_archive("v1.1.0"))
        process.wait_for("deployment.done", version="v1.1.0")
        yield process


def test_a_rollback_under_load_loses_no_request_and_the_old_version_answers_soon(
    served: Running, root: Path, port: int, registry: Directory, go_archive: Archive
) -> None:
    with Load(port) as load:
        load.wait_for("v1.1.0")
        before, began = load.answers["v1.0.0"], time.monotonic()
        rollback = subprocess.Popen(
            [*DEWY, "rollback", "-C", str(root)], env=environment(), stdout=subprocess.PIPE, text=True
        )
        eventually(lambda: load.answers["v1.0.0"] > before, 10)
        first_answer = time.monotonic() - began
        said, _ = rollback.communicate(timeout=30)
        assert rollback.returncode == 0
        for version in ("v1.1.0", "v1.0.0"):  # there and back again, by name
            assert dewy("rollback", version, "-C", str(root)).returncode == 0
        served.wait_for("generation.stopped", count=4)
    assert load.failures == []
    assert load.requests > 100
    assert first_answer < 2
    assert re.match(r"v1\.0\.0 runs again \([\d.]+s\)\.\nv1\.1\.0 is on hold", said)

    registry.publish("v1.2.0", go_archive("v1.2.0"))
    served.wait_for("deployment.done", version="v1.2.0")
    report = (registry.path / "v1.0.0").glob("shipped_to_*")
    assert eventually(lambda: list(report)), "the fleet is told that this host runs it again"
    kept = [(entry["event"], entry.get("version")) for entry in history(root)]
    assert kept[0] == ("deployment.done", "v1.2.0")
    assert kept.count(("rollback.done", "v1.0.0")) == 2
    assert kept[-1][0] == "dewy.started"


def test_status_tells_what_runs_what_failed_and_what_is_on_hold(served: Running, root: Path, registry: Directory) -> None:
    registry.publish("v1.2.0", BROKEN)
    served.wait_for("deployment.failed", version="v1.2.0")
    seen = eventually(lambda: s if "on hold" in (s := status(root))["poll"]["answer"] else None)
    assert seen["running"]
    assert seen["current"]["version"] == "v1.1.0"
    assert seen["dewy"]["pid"] == served.pid
    assert seen["process"]["state"] == "running"
    assert seen["process"]["current"]["version"] == "v1.1.0"
    os.kill(seen["process"]["current"]["pid"], 0)
    assert [held["version"] for held in seen["held"]] == ["v1.2.0"]
    assert [release["version"] for release in seen["releases"]] == ["v1.1.0", "v1.0.0"]
    assert seen["last_error"]["event"] == "deployment.failed"
    people = dewy("status", "-C", str(root)).stdout
    assert people.startswith(f"{root.name} ")
    for told in ("v1.1.0 runs", "v1.2.0 since", "it ended with exit status 3", "last error", str(served.pid)):
        assert told in people
    assert "\x1b" not in people

    failed = history(root, "--failed", "--version", "1.2.0")
    assert [(entry["event"], entry["cause"]) for entry in failed] == [("deployment.failed", "registry")]
    assert failed[0]["output"] == "there is no database"
    assert failed[0]["digest"].startswith("sha256:")
    assert failed[0]["start_seconds"] > 0
    shown = dewy("history", "-C", str(root)).stdout
    assert re.search(r"failed +v1\.2\.0 +v1\.1\.0 .*registry .*exit status 3\n    \| there is no database", shown)


def test_holds_and_restarts(served: Running, root: Path, registry: Directory, go_archive: Archive) -> None:
    assert "v1.2.0 is on hold" in dewy("hold", "v1.2.0", "-C", str(root)).stdout
    registry.publish("v1.2.0", go_archive("v1.2.0"))
    served.wait_for("registry.polled", version="v1.2.0")
    generation = status(root)["process"]["current"]["number"]
    restarted = json.loads(dewy("restart", "--json", "-C", str(root)).stdout)
    assert restarted == {"version": "v1.1.0", "generation": generation + 1}
    assert not served.of("deployment.done", version="v1.2.0")
    assert dewy("unhold", "1.2.0", "-C", str(root)).returncode == 0
    served.wait_for("deployment.done", version="v1.2.0")
    causes = {entry["event"]: entry.get("cause", "") for entry in history(root)}
    assert causes["version.held"].startswith("operator ")
    assert causes["application.restarted"].startswith("operator ")
    assert status(root)["held"] == []


def test_history_can_be_followed(served: Running, root: Path) -> None:
    follower = subprocess.Popen(
        [*DEWY, "history", "--follow", "--json", "-C", str(root)], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout
    try:
        assert json.loads(follower.stdout.readline())["event"] == "dewy.started"
        dewy("hold", "v9", "-C", str(root))
        for line in follower.stdout:
            if json.loads(line)["event"] == "version.held":
                break
    finally:
        follower.terminate()
        follower.communicate(timeout=10)


def test_a_command_does_not_wait_for_a_registry_that_hangs(registry: Directory, root: Path, go_archive: Archive) -> None:
    arguments = ["-i", "0.2s", "-C", str(root), "--start-grace", "0.2s", "--", "sleep", "600"]
    for version in ("v1.0.0", "v1.1.0"):
        registry.publish(version, go_archive(version))
        with running("server", "--registry", registry.url, *arguments) as process:
            process.wait_for("deployment.done", version=version)
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"s3://us-east-1/releases/myapp?endpoint=http://127.0.0.1:{silent.getsockname()[1]}"
        with running("server", "--registry", url, *arguments, **keys) as process:
            process.wait_for("dewy.ready")
            with silent.accept()[0]:  # it has asked, and nobody answers
                assert status(root)["dewy"]["activity"] == "asking the registry"
                began = time.monotonic()
                assert dewy("rollback", "-C", str(root)).returncode == 0
                assert time.monotonic() - began < 5
                assert status(root)["current"]["version"] == "v1.0.0"


def test_where_no_dewy_runs(registry: Directory, root: Path, go_archive: Archive) -> None:
    for command in ("status", "restart"):
        assert dewy(command, "-C", str(root)).returncode == 3
    for command in (["history"], ["rollback"], ["hold", "v1"], ["unhold", "v1"]):
        done = dewy(*command, "-C", str(root))
        assert done.returncode == 1
        assert done.stderr.startswith(f"dewy: no dewy has run in {root}")
    for command in (
        ["hold"],
        ["unhold"],
        ["rollback", "v1", "v2"],
        ["history", "--since", "yesterday"],
        ["status", "-C", "/no"],
    ):
        done = dewy(*command, cwd=root)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
    assert list(root.iterdir()) == []

    arguments = ["--registry", registry.url, "-i", "0.2s", "-C", str(root)]
    for version in ("v1.0.0", "v1.1.0"):
        registry.publish(version, go_archive(version))
        with running("assets", *arguments) as process:
            process.wait_for("deployment.done", version=version)
    assert "the next one starts with it" in dewy("rollback", "-C", str(root)).stdout
    seen = status(root, expected=3)
    assert (seen["running"], seen["dewy"], seen["current"]["version"]) == (False, None, "v1.0.0")
    assert "but no dewy runs here" in dewy("status", "-C", str(root)).stdout
    with running("assets", *arguments) as process:
        process.wait_for("registry.polled", version="v1.1.0")
        assert "on hold" in status(root)["poll"]["answer"]
        assert dewy("restart", "-C", str(root)).stderr.startswith("dewy: there is no process to restart")
    assert json.loads(dewy("unhold", "v1.1.0", "--json", "-C", str(root)).stdout)["running"] is False


def test_status_says_when_the_application_is_down(registry: Directory, root: Path) -> None:
    registry.publish("v1.0.0", pack({"myapp": (b"#!/bin/sh\nsleep 0.5\nexit 1\n", 0o755)}))
    arguments = ["--registry", registry.url, "-i", "0.2s", "-C", str(root), "--start-grace", "0.2s"]
    with running("server", *arguments, "--", "./current/myapp") as process:
        process.wait_for("application.crashed")
        seen = status(root, expected=1)
        assert seen["process"]["current"] is None
        assert seen["process"]["crashes"] >= 1
        assert "does not run" in dewy("status", "-C", str(root)).stdout


def test_commands_at_the_same_time_are_all_done(served: Running, root: Path) -> None:
    commands = [
        subprocess.Popen(
            [*DEWY, *arguments, "-C", str(root)], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for arguments in (["rollback"], ["hold", "v8"], ["restart"], ["hold", "v9"])
    ]
    for command in commands:
        command.communicate(timeout=30)
    assert [command.returncode for command in commands] == [0, 0, 0, 0]
    assert {held["version"] for held in status(root)["held"]} == {"v1.1.0", "v8", "v9"}
