"""What goes wrong on the way to production: the old version serves on, the error says why, the next good one deploys."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from load import Load
from publishing import Archive, Directory, pack
from running import DEWY, Running, dewy, environment, eventually, free_port, running


def options(registry: Directory, root: Path, port: int, grace: str = "0.1s") -> list[str]:
    return ["--registry", registry.url, "-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root), "--start-grace", grace]


def leftovers(root: Path) -> list[str]:
    return [
        str(path)
        for pattern in ("releases/.*", ".current*", ".dewy/tmp/*", ".dewy/.*.tmp", ".dewy/cache/*.tmp", ".dewy/cache/.*.tmp")
        for path in root.glob(pattern)
    ]


def test_versions_broken_in_many_ways_never_take_the_service_down(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port, good = free_port(), go_archive("v1.0.0")
    registry.publish("v1.0.0", good)
    hook = ["--before-deploy-hook", "test ! -e veto || { echo not today; exit 9; }"]
    command = [*options(registry, root, port, grace="1s"), *hook]  # in which a broken version ends, on a busy machine too
    with running("server", *command, "--", "./current/myapp") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        with Load(port) as load:
            load.wait_for("v1.0.0")
            registry.publish("v1.1.0", go_archive("broken"))
            failed = process.wait_for("deployment.failed", version="v1.1.0")
            assert "exit status 3" in failed["error"]
            assert "cannot read the configuration" in failed["output"]
            assert "v1.0.0 runs on; v1.1.0 is on hold until the registry offers another" in failed["text"]

            registry.publish("v1.2.0", good[: len(good) // 2])
            failed = process.wait_for("deployment.failed", version="v1.2.0")
            assert failed["phase"] == "unpack"
            assert "myapp_linux_amd64.tar.gz" in failed["error"]

            registry.publish("v1.3.0", pack({"other": (b"#!/bin/sh\n", 0o755)}))
            failed = process.wait_for("deployment.failed", version="v1.3.0")
            assert "./current/myapp" in failed["error"]

            (root / "veto").touch()
            registry.publish("v1.4.0", good)
            failed = process.wait_for("deployment.failed", version="v1.4.0")
            assert failed["phase"] == "before"
            assert process.wait_for("hook.failed")["output"] == "not today"
            (root / "veto").unlink()

            registry.publish("v1.5.0", go_archive("v1.5.0"))
            process.wait_for("deployment.done", version="v1.5.0")
            load.wait_for("v1.5.0")
            process.wait_for("generation.stopped")
        assert load.failures == []
    assert set(load.answers) == {"v1.0.0", "v1.5.0"}
    assert len(process.of("generation.failed")) == 2
    assert leftovers(root) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "dewy-test", place], check=False, capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_named_and_what_runs_goes_on(registry: Directory, small_disk: Path, go_archive: Archive) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    with running("server", *options(registry, small_disk, port), "--", "./current/myapp") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        with Load(port) as load:
            registry.publish("v1.1.0", pack({"myapp": (b"#!", 0o755), "big": (os.urandom(30 << 20), 0o644)}))
            failed = process.wait_for("deployment.failed", version="v1.1.0")
            assert "No space left on device" in failed["error"]
            assert "tried again in" in failed["text"]
            registry.publish("v1.2.0", go_archive("v1.2.0"))
            process.wait_for("deployment.done", version="v1.2.0")
            load.wait_for("v1.2.0")
        assert load.failures == []
    assert leftovers(small_disk) == []


MOMENTS = {
    "dewy.started": 1, "dewy.ready": 1, "deployment.started": 1, "artifact.downloaded": 1, "release.unpacked": 1,
    "release.switched": 1, "generation.started": 2, "generation.ready": 2, "deployment.done": 1, "generation.stopped": 1,
}  # fmt: skip
"""What dewy says from its start until the new version has replaced the old one, and how often by then."""


def test_killed_at_any_moment_dewy_comes_up_again_and_serves_without_its_registry(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port, dice = free_port(), random.Random(os.environ.get("DEWY_TEST_SEED"))
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    arguments = ["server", *options(registry, root, port), "--", "./current/myapp"]
    with running(*arguments) as process:
        process.wait_for("deployment.done")
    away = registry.path.with_name("away")
    for number, moment in enumerate(dice.sample(sorted(MOMENTS), len(MOMENTS)), 1):
        registry.publish(f"v1.{number}.0", go_archive(f"v1.{number % 3}.0"))
        victim = Running(arguments)
        try:
            victim.wait_for(moment, count=MOMENTS[moment])
            time.sleep(dice.uniform(0, 0.1))  # until the next one, more or less
        finally:
            victim.kill()
        assert (root / "current" / "myapp").stat().st_size == (root / "current" / "myapp").resolve().stat().st_size
        registry.path.rename(away)
        with running(*arguments) as process:
            process.wait_for("dewy.ready")
            with Load(port, kept=2, slow=0) as load:
                eventually(lambda: load.requests > 20)
            assert load.failures == []
        away.rename(registry.path)
        assert leftovers(root) == []


def test_an_application_that_is_killed_is_started_again_with_its_socket_open(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    with running("server", *options(registry, root, port), "--", "./current/myapp") as process:
        process.wait_for("deployment.done")
        with Load(port, kept=0, slow=0, rate=20) as load:
            load.wait_for("v1.0.0")
            os.kill(int(process.of("generation.ready")[-1]["pid"]), signal.SIGKILL)
            crashed = process.wait_for("application.crashed")
            assert "SIGKILL" in crashed["text"]
            process.wait_for("generation.ready", count=2)
        refused = [failure for failure in load.failures if "connecting" in failure]
        assert refused == []


def test_a_crash_loop_costs_next_to_nothing(registry: Directory, root: Path) -> None:
    """Of dewy's own: what the application does in its seconds is its own affair."""
    registry.publish("v1.0.0", pack({"myapp": (b"#!/bin/sh\nsleep 1\nexit 3\n", 0o755)}))
    command = [*options(registry, root, free_port()), "-i", "60s"]
    with running("server", *command, "--", "./current/myapp") as process:
        process.wait_for("application.crashed")
        began, used = time.monotonic(), cpu_seconds(process.pid)
        process.wait_for("application.crashed", count=4)
        share = (cpu_seconds(process.pid) - used) / (time.monotonic() - began)
    assert share < 0.01


def cpu_seconds(pid: int) -> float:
    """What a process has used, its children aside."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_two_dewys_in_one_root_are_one_too_many(registry: Directory, root: Path, go_archive: Archive) -> None:
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    with running("server", *options(registry, root, free_port()), "--", "./current/myapp") as process:
        process.wait_for("deployment.done")
        second = dewy("server", *options(registry, root, free_port()), "--", "./current/myapp")
        assert second.returncode == 1
        assert second.stderr == (
            f"dewy: another dewy (process {process.pid}) already keeps {root}. "
            "One root directory is for one application: use another with -C, or stop that process\n"
        )


def test_a_hanging_hook_hinders_neither_a_restart_nor_a_stop(registry: Directory, root: Path, go_archive: Archive) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    hook = ["--after-deploy-hook", "sleep 60", "--stop-timeout", "1s"]
    with running("server", *options(registry, root, port), *hook, "--", "./current/myapp") as process:
        pid = int(process.wait_for("generation.ready")["pid"])
        process.wait_for("deployment.done")
        os.kill(pid, signal.SIGKILL)
        process.wait_for("generation.ready", count=2)
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < 15


def test_whoever_starts_dewy_may_have_left_signals_ignored_and_streams_closed(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    words = " ".join([*DEWY, "server", *options(registry, root, port), "--", "./current/myapp"])
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"trap '' CHLD HUP USR1 PIPE; exec {words} <&- >&- 2>&-"], env=environment()
    )
    try:
        with Load(port, kept=0, slow=0) as load:
            eventually(lambda: load.answers["v1.0.0"] > 20)
    finally:
        process.terminate()
        assert process.wait(30) == 0


PATIENT = b"""
import signal, socket, sys, threading, time

listener, stop = socket.socket(fileno=3), threading.Event()
listener.settimeout(0.05)
signal.signal(signal.SIGTERM, lambda *_: stop.set())

def answer(connection):
    with connection:
        if b"/slow" in connection.recv(65536):
            time.sleep(3)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 9\\r\\n\\r\\nv1.0.0 1\\n")

while not stop.is_set():
    try:
        threading.Thread(target=answer, args=(listener.accept()[0],)).start()
    except TimeoutError:
        pass
listener.close()
"""
"""Asked to finish, it lets go of its socket and answers what it has taken."""


def test_after_a_kill_new_users_are_served_while_the_old_process_still_answers_its_last(
    registry: Directory, root: Path
) -> None:
    """Whatever the application that a killed dewy has left still has to do, the next dewy does not wait for it."""
    port = free_port()
    registry.publish("v1.0.0", pack({"patient.py": (PATIENT, 0o644)}), "patient.tar.gz")
    command = ["server", *options(registry, root, port), "--", sys.executable, "-I", "-S", "./current/patient.py"]
    process = Running(command)
    try:
        process.wait_for("deployment.done")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as last:
            last.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
            time.sleep(0.3)  # the request is on its way into the application
            process.kill()
            began = time.monotonic()
            with running(*command) as following:
                following.wait_for("generation.ready")
                with socket.create_connection(("127.0.0.1", port), timeout=20) as first:
                    first.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    assert first.recv(65536).startswith(b"HTTP/1.1 200")
                assert time.monotonic() - began < 2.5
                assert not following.of("orphan.stopped")
                assert last.recv(65536).startswith(b"HTTP/1.1 200")
                following.wait_for("orphan.stopped", how="it finished")
    finally:
        if process.process.poll() is None:
            process.kill()
