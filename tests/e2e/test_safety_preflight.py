"""The preflight of a real application: what a candidate is given, what is left of it, and what this host is to blame for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dewy.supervisor.procfs import all_processes
from publishing import APPLICATIONS, Archive, Directory, pack
from running import Running, eventually, free_port, running
from trials import options

WITNESS = [sys.executable, str(APPLICATIONS / "witness.py"), "seen", "current/myapp"]


def seen(root: Path) -> list[dict[str, Any]]:
    """What each start of the application was handed."""
    return [json.loads(line) for line in (root / "seen").read_text().splitlines()]


def children(process: Running) -> set[int]:
    return {found.pid for found in all_processes() if found.parent == process.pid and found.is_alive}


# ------------------------------------------------------------------------------------------------ what a candidate sees


def test_a_candidate_has_private_sockets_under_the_names_of_the_public_ones_and_nothing_is_left_of_it(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    more = {"DEWY_PREFLIGHT": "on"}  # how the option is given in the environment, which the application inherits
    with running("server", *options(registry, root, port), "--", *WITNESS, **more) as process:
        process.wait_for("deployment.done")
        candidate, serving = seen(root)
        assert candidate["environ"].pop("DEWY_PREFLIGHT") == "1"
        assert "DEWY_PREFLIGHT" not in serving["environ"]
        assert serving["sockets"] == [["127.0.0.1", port]]
        ((host, private),) = candidate["sockets"]
        assert host == "127.0.0.1"
        assert private not in (0, port)
        assert candidate["environ"]["SERVER_STARTER_PORT"] == f"127.0.0.1:{private}=3"
        differ = {"SERVER_STARTER_PORT", "SERVER_STARTER_GENERATION", "NOTIFY_SOCKET", "LISTEN_PID"}
        assert {name: value for name, value in candidate["environ"].items() if name not in differ} == {
            name: value for name, value in serving["environ"].items() if name not in differ
        }
        assert serving["environ"]["LISTEN_FDNAMES"] == f"127.0.0.1:{port}".replace(":", "-")
        assert children(process) == {serving["pid"]}
        assert ports_of(process) == {port}


def ports_of(process: Running) -> set[int]:
    """The TCP ports that a process itself listens on."""
    links = (str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir() if path.is_symlink())
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_unix_socket_is_asked_for_its_health_and_the_private_one_is_gone_afterwards(
    registry: Directory, root: Path, go_archive: Archive, *, relative: bool
) -> None:
    """A relative path begins in the root directory, wherever dewy was started."""
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    path = "./app.sock" if relative else str(root / "app.sock")
    arguments = ["--registry", registry.url, "-p", path, "-i", "0.1s", "-C", str(root), "--start-grace", "0.1s"]
    health = ["--health-path", "/healthz", "--health-timeout", "1s"]
    with running("server", *arguments, *health, "--", *WITNESS) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        candidate, serving = seen(root)
        assert serving["sockets"] == [str(root / "app.sock")]
        (private,) = candidate["sockets"]
        assert Path(private).parent == root / ".dewy"
        assert not Path(private).exists()
        assert candidate["environ"]["LISTEN_FDNAMES"] == serving["environ"]["LISTEN_FDNAMES"]
        registry.publish("v1.1.0", go_archive("v1.1.0 fails"))
        failed = process.wait_for("deployment.failed", version="v1.1.0", phase="preflight")
        assert "answered GET /healthz with 500 Internal Server Error" in failed["error"]
        assert [path.name for path in root.rglob("*.sock") if "preflight" in path.name] == []
        eventually(lambda: children(process) == {serving["pid"]}, 5)


def test_a_worker_without_ports_is_proven_by_a_command(registry: Directory, root: Path) -> None:
    """The command is run for the candidate and for what serves; the candidate alone knows that it is one."""
    script = b'#!/bin/sh\necho "$DEWY_VERSION${DEWY_PREFLIGHT:+ preflight}" >> ran\nexec sleep 600\n'
    arguments = [
        "--registry",
        registry.url,
        "-i",
        "0.1s",
        "-C",
        str(root),
        "--start-grace",
        "0.1s",
        "--health-timeout",
        "1s",
    ]
    health = 'echo "$DEWY_VERSION [$DEWY_HEALTH_ADDRESS]" >> asked; test -e "$DEWY_RELEASE_DIR/good"'
    registry.publish("v1.0.0", pack({"work": (script, 0o755), "good": (b"", 0o644)}), "work.tar.gz")
    with running("server", *arguments, "--health-command", health, "--", "./current/work") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", pack({"work": (script, 0o755)}), "work.tar.gz")
        process.wait_for("deployment.failed", version="v1.1.0", phase="preflight")
        assert (root / "ran").read_text().splitlines() == ["v1.0.0 preflight", "v1.0.0", "v1.1.0 preflight"]
        assert set((root / "asked").read_text().splitlines()) == {"v1.0.0 []", "v1.1.0 []"}
        assert len(children(process)) == 1


# ------------------------------------------------------------------------------------------------- this host is to blame


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 8 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "dewy-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_version_that_found_no_space_is_not_held_and_is_tried_again_when_there_is_some(
    registry: Directory, tiny_disk: Path
) -> None:
    script = b"#!/bin/sh\nhead -c %d /dev/zero > scratch\nenough=$?\nrm scratch\ntest $enough = 0 && exec sleep 600\n"
    registry.publish("v1.0.0", pack({"work": (script % 1, 0o755)}), "work.tar.gz")
    arguments = ["--registry", registry.url, "-i", "0.1s", "-C", str(tiny_disk), "--start-grace", "0.3s"]
    with running("server", *arguments, "--health-command", "true", "--", "./current/work") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        room = os.statvfs(tiny_disk)
        filler = tiny_disk / "filler"
        filler.write_bytes(bytes(room.f_bavail * room.f_frsize - (700 << 10)))
        registry.publish("v1.1.0", pack({"work": (script % (2 << 20), 0o755)}), "work.tar.gz")
        failed = process.wait_for("deployment.failed", version="v1.1.0", count=2)
        assert "is full. Free some space" in failed["error"]
        assert "No space left on device" in failed["output"], "what the application said is told here too"
        assert "is tried again" in failed["text"]
        filler.unlink()
        process.wait_for("deployment.done", version="v1.1.0")
    assert process.of("version.held") == []


def test_a_version_that_fills_the_disk_and_dies_of_it_is_left_for_the_one_before(
    registry: Directory, tiny_disk: Path
) -> None:
    greedy = b"#!/bin/sh\nsleep 0.8\nhead -c 9000000 /dev/zero > log && exec sleep 600\n"
    registry.publish("v1.0.0", pack({"work": (b"#!/bin/sh\nexec sleep 600\n", 0o755)}), "work.tar.gz")
    arguments = ["--registry", registry.url, "-i", "0.1s", "-C", str(tiny_disk), "--start-grace", "0.3s"]
    with running("server", *arguments, "--", "./current/work", DEWY_BAKE_TIME="1.5s") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", pack({"work": (greedy, 0o755)}), "work.tar.gz")
        process.wait_for("deployment.failed", version="v1.1.0", phase="bake")
        process.wait_for("rollback.done", version="v1.0.0")
        (serving,) = children(process)
        assert (tiny_disk / "current").resolve().name == process.of("deployment.done")[0]["directory"]
        registry.publish("v1.2.0", pack({"work": (b"#!/bin/sh\nexec sleep 601\n", 0o755)}), "work.tar.gz")
        process.wait_for("deployment.failed", version="v1.2.0")
        assert children(process) == {serving}
        (tiny_disk / "log").unlink()
        process.wait_for("deployment.done", version="v1.2.0")


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group with 64 MiB of memory."""
    for parent, limit in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")):
        group = parent / f"dewy-test-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            (group / limit).write_text(str(64 << 20))
            break
        with suppress(OSError):
            group.rmdir()
    else:
        pytest.skip("no control group for memory can be made here")
    try:
        yield group
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text(), what="the end of all in the group")
        group.rmdir()


HUNGRY = """#!/bin/sh
echo $$ > {group}/cgroup.procs
exec {python} -c 'import os, time; eaten = bytearray((200 << 20) * os.path.exists("hungry")); time.sleep(600)'
"""


def test_a_version_that_the_kernel_killed_for_memory_is_not_held_and_is_tried_again(
    registry: Directory, root: Path, memory_group: Path
) -> None:
    script = HUNGRY.format(group=memory_group, python=sys.executable).encode()
    registry.publish("v1.0.0", pack({"work": (script, 0o755)}), "work.tar.gz")
    arguments = ["--registry", registry.url, "-i", "0.1s", "-C", str(root), "--start-grace", "1s"]
    with running("server", *arguments, "--health-command", "true", "--", "./current/work") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        (root / "hungry").touch()
        registry.publish("v1.1.0", pack({"work": (script + b"#", 0o755)}), "work.tar.gz")
        failed = process.wait_for("deployment.failed", version="v1.1.0")
        assert "the kernel has killed it" in failed["error"]
        (root / "hungry").unlink()
        process.wait_for("deployment.done", version="v1.1.0")
    assert process.of("version.held") == []
