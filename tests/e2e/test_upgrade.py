"""dewy in place of dewy: the process, its sockets and the application stay, and nobody who asks for something notices."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from load import Load
from publishing import Archive, Directory, pack
from running import Running, dewy, eventually, free_port, running

LISTENS = b"""#!/bin/sh
echo "generation $SERVER_STARTER_GENERATION of $DEWY_VERSION${DEWY_HANDOVER:+ has inherited too much}"
trap 'sleep 1; echo "the end of $DEWY_VERSION"; exit 0' TERM
while :; do sleep 0.05; done
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def served(registry: Directory, root: Path, port: int, go_archive: Archive) -> Iterator[Running]:
    arguments = ["--registry", registry.url, "-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root)]
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    with running("server", *arguments, "--start-grace", "0.3s", "--", "./current/myapp") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        yield process


def application(root: Path) -> int:
    """The process of the application, as the dewy that runs knows it."""
    seen = json.loads(dewy("status", "--json", "-C", str(root)).stdout)
    return int(seen["process"]["current"]["pid"])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_under_load_no_request_is_lost_and_the_application_is_not_touched(
    served: Running, root: Path, port: int, registry: Directory, go_archive: Archive
) -> None:
    before = application(root)
    with Load(port) as load:
        load.wait_for("v1.0.0")
        done = dewy("upgrade", "--json", "-C", str(root))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["pid"] == served.pid
        open_files = descriptors(served.pid)
        for count in (2, 3, 4):
            served.signal(signal.SIGUSR2)
            served.wait_for("dewy.upgraded", count=count)
            served.wait_for("dewy.ready", count=count + 1)
        assert application(root) == before
        assert descriptors(served.pid) <= open_files + 1
        assert not served.of("generation.started", generation=2)
        registry.publish("v1.1.0", go_archive("v1.1.0"))
        served.wait_for("deployment.done", version="v1.1.0")
        load.wait_for("v1.1.0")
        served.wait_for("generation.stopped", generation=1)
    assert load.failures == []
    assert load.requests > 100
    assert served.of("generation.started", version="v1.1.0")[0]["generation"] == 2


def test_the_new_dewy_looks_after_what_the_old_one_has_started(served: Running, root: Path, port: int) -> None:
    served.signal(signal.SIGUSR2)
    served.wait_for("dewy.upgraded")
    first = application(root)
    os.kill(first, signal.SIGKILL)
    crashed = served.wait_for("application.crashed")
    assert (crashed["pid"], crashed["how"]) == (first, "killed by SIGKILL")
    served.wait_for("generation.ready", generation=2)
    assert application(root) != first
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        pass


def test_what_the_application_prints_comes_through_and_an_old_generation_ends_in_peace(
    registry: Directory, root: Path
) -> None:
    registry.publish("v1.0.0", pack({"work": (LISTENS, 0o755)}), "work.tar.gz")
    arguments = ["--registry", registry.url, "-i", "0.1s", "-C", str(root), "--start-grace", "0.2s"]
    with running("server", *arguments, "--", "./current/work") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", pack({"work": (LISTENS + b"#", 0o755)}), "work.tar.gz")
        process.wait_for("deployment.done", version="v1.1.0")
        process.signal(signal.SIGUSR2)  # the old generation still takes its second to finish
        process.wait_for("dewy.upgraded")
        process.wait_for("generation.stopped", generation=1)
        assert dewy("restart", "-C", str(root)).returncode == 0
        process.wait_for("generation.stopped", generation=2)
        eventually(lambda: "the end of v1.1.0" in process.other)
    said = [line for line in process.other if "generation" in line or "end of" in line]
    assert said[:2] == ["generation 1 of v1.0.0", "generation 2 of v1.1.0"]
    assert "the end of v1.0.0" in said
    assert "generation 3 of v1.1.0" in said


def test_a_dewy_that_does_not_start_does_not_replace_one_that_runs(registry: Directory, root: Path, tmp_path: Path) -> None:
    """The broken package stands before the good one on the path, as after an upgrade that went wrong."""
    registry.publish("v1.0.0", pack({"work": (LISTENS, 0o755)}), "work.tar.gz")
    package = tmp_path / "path" / "dewy"
    package.parent.mkdir()
    arguments = ["--registry", registry.url, "-i", "0.1s", "-C", str(root), "--start-grace", "0.2s", "--", "./current/work"]
    with running("server", *arguments, PYTHONPATH=str(package.parent)) as process:
        process.wait_for("deployment.done")
        package.mkdir()
        (package / "__init__.py").write_text("raise ImportError('half an upgrade')\n")
        process.signal(signal.SIGUSR2)
        failed = process.wait_for("upgrade.failed")
        assert "cannot take over: ImportError: half an upgrade. This one goes on" in failed["text"]
        before = application(root)
        done = dewy("upgrade", "-C", str(root))
        assert done.returncode == 1
        assert "half an upgrade" in done.stderr
        assert application(root) == before
        shutil.rmtree(package)
        assert dewy("upgrade", "-C", str(root)).returncode == 0
        registry.publish("v1.1.0", pack({"work": (LISTENS + b"#", 0o755)}), "work.tar.gz")
        process.wait_for("deployment.done", version="v1.1.0")


def test_static_files_too_and_a_version_that_bakes_goes_on_to_do_so(registry: Directory, root: Path) -> None:
    registry.publish("v1.0.0", pack({"index.html": (b"one", 0o644)}), "site.tar.gz")
    with running("assets", "--registry", registry.url, "-i", "0.1s", "-C", str(root)) as process:
        process.wait_for("deployment.done")
        process.signal(signal.SIGUSR2)
        process.wait_for("dewy.upgraded")
        registry.publish("v1.1.0", pack({"index.html": (b"two", 0o644)}), "site.tar.gz")
        process.wait_for("deployment.done", version="v1.1.0")


def test_a_version_that_bakes_is_watched_on(registry: Directory, root: Path) -> None:
    registry.publish("v1.0.0", pack({"work": (LISTENS, 0o755)}), "work.tar.gz")
    arguments = ["--registry", registry.url, "-i", "0.1s", "-C", str(root), "--start-grace", "0.2s", "--bake-time", "4s"]
    with running("server", *arguments, "--after-deploy-hook", "echo after >> hooks", "--", "./current/work") as process:
        process.wait_for("generation.ready")
        eventually(lambda: "bake" in dewy("status", "-C", str(root)).stdout)
        process.signal(signal.SIGUSR2)
        process.wait_for("dewy.upgraded")
        process.wait_for("deployment.resumed")
        process.wait_for("deployment.done")
        process.wait_for("hook.done")
        assert (root / "hooks").read_text() == "after\n"
        assert len(process.of("generation.started")) == 1


def test_where_no_dewy_runs_there_is_none_to_replace(root: Path) -> None:
    assert dewy("upgrade", "-C", str(root)).returncode == 3
