"""Real applications, kept at the newest version under load."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from load import Load
from publishing import Archive, Directory, pack, python_archive
from running import free_port, running


def test_a_go_server_is_swapped_under_load_and_not_one_request_fails(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    arguments = ["--registry", registry.url, "-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root)]
    with running("server", *arguments, "--start-grace", "0.1s", "--", "./current/myapp") as dewy:
        dewy.wait_for("deployment.done", version="v1.0.0")
        with Load(port) as load:
            load.wait_for("v1.0.0")
            for number in range(1, 6):
                version = f"v1.{number}.0"
                registry.publish(version, go_archive(version))
                dewy.wait_for("deployment.done", version=version)
                load.wait_for(version)
            dewy.wait_for("generation.stopped", count=5)
        assert load.failures == []
        assert load.requests > 100
    assert [e["version"] for e in dewy.of("deployment.done")] == [f"v1.{number}.0" for number in range(6)]


@pytest.mark.parametrize(
    "command",
    [
        ["gunicorn", "--chdir", "current", "--workers", "2", "web:wsgi"],
        ["uvicorn", "--app-dir", "current", "--fd", "3", "web:asgi"],
    ],
    ids=["gunicorn", "uvicorn"],
)
def test_a_python_application_is_deployed_restarted_and_stopped(registry: Directory, root: Path, command: list[str]) -> None:
    port = free_port()
    registry.publish("v1.0.0", python_archive("v1.0.0"), "web.tar.gz")
    arguments = ["--registry", registry.url, "-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root)]
    with running("server", *arguments, "--start-grace", "0.5s", "--", sys.executable, "-m", *command) as dewy:
        dewy.wait_for("deployment.done", version="v1.0.0")
        with Load(port, kept=0, slow=0) as load:
            load.wait_for("v1.0.0")
            registry.publish("v1.1.0", python_archive("v1.1.0"), "web.tar.gz")
            dewy.wait_for("deployment.done", version="v1.1.0")
            load.wait_for("v1.1.0")
            dewy.signal(signal.SIGUSR1)
            dewy.wait_for("application.restarted")
            dewy.wait_for("generation.stopped", count=2)
        # uvicorn hangs up on connections that it has accepted and not read yet when it is asked to finish: that is its own
        # doing, and no supervisor can make up for it; nobody may be refused all the same
        refused = [failure for failure in load.failures if "connecting" in failure]
        assert (refused if command[0] == "uvicorn" else load.failures) == []


def test_a_restart_under_load_loses_nothing(registry: Directory, root: Path, go_archive: Archive) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    arguments = ["--registry", registry.url, "-p", f"127.0.0.1:{port}", "-C", str(root), "--start-grace", "0.1s"]
    with running("server", *arguments, "--", "./current/myapp") as dewy:
        dewy.wait_for("deployment.done")
        with Load(port) as load:
            load.wait_for("v1.0.0")
            for count in range(1, 6):
                dewy.signal(signal.SIGUSR1)
                dewy.wait_for("application.restarted", count=count)
            dewy.wait_for("generation.stopped", count=5)
        assert load.failures == []
        assert load.requests > 100
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1):
            dewy.signal(number)
        dewy.wait_for("application.restarted", count=6)  # by the last one: the others have come, and done nothing
        assert len(dewy.of("generation.started")) == 7


def test_the_registry_is_the_truth_and_pre_releases_count_only_when_asked_for(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    for version in ("v1.0.0", "v2.0.0", "v3.0.0-rc.9", "v3.0.0-rc.10"):
        registry.publish(version, go_archive("v1.0.0"))
    arguments = ["-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root), "--start-grace", "0.1s"]
    with running("server", "--registry", registry.url, *arguments, "--", "./current/myapp") as dewy:
        dewy.wait_for("deployment.done", version="v2.0.0")
        dewy.wait_for("report.done", version="v2.0.0")  # which is written to where the version is withdrawn
        registry.withdraw("v2.0.0")
        dewy.wait_for("deployment.done", version="v1.0.0")
    with running("server", "--registry", f"{registry.url}?pre-release=true", *arguments, "--", "./current/myapp") as dewy:
        dewy.wait_for("deployment.done", version="v3.0.0-rc.10")


def test_a_worker_without_ports_is_kept_running(registry: Directory, root: Path, tmp_path: Path) -> None:
    script = b'#!/bin/sh\necho "$DEWY_VERSION [$SERVER_STARTER_PORT]" >> ran\nexec sleep 600\n'
    registry.publish("v1.0.0", pack({"work": (script, 0o755)}), "work.tar.gz")
    arguments = ["--registry", registry.url, "-i", "0.1s", "-C", str(root), "--start-grace", "0.1s"]
    with running("server", *arguments, "--", "./current/work") as dewy:
        dewy.wait_for("deployment.done", version="v1.0.0")
        assert (root / "ran").read_text() == "v1.0.0 []\n"
        registry.publish("v1.1.0", pack({"work": (script + b"#", 0o755)}), "work.tar.gz")
        dewy.wait_for("deployment.done", version="v1.1.0")
        assert (root / "ran").read_text() == "v1.0.0 []\nv1.1.0 []\n"


def test_assets_are_switched_without_a_process(registry: Directory, root: Path) -> None:
    registry.publish("v1.0.0", pack({"index.html": (b"one", 0o644)}), "site.tar.gz")
    hook = 'echo "$DEWY_COMMAND $DEWY_VERSION $(cat current/index.html)" >> hooked'
    with running("assets", "--registry", registry.url, "-i", "0.1s", "-C", str(root), "--after-deploy-hook", hook) as dewy:
        dewy.wait_for("deployment.done", version="v1.0.0")
        assert (root / "current" / "index.html").read_text() == "one"
        registry.publish("v1.1.0", pack({"index.html": (b"two", 0o644)}), "site.tar.gz")
        dewy.wait_for("hook.done", count=2)
        assert (root / "hooked").read_text() == "assets v1.0.0 one\nassets v1.1.0 two\n"
