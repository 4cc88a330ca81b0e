"""What a dewy that was killed leaves running is ended by the next one, and nobody else is (R86)."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from supervision import APPLICATION, alive, free_port

from dewy import events
from dewy.errors import HostError
from dewy.supervisor import Orphans, bind, parse_ports
from dewy.supervisor.ledger import Ledger, read_record
from dewy.supervisor.procfs import all_processes, process_info
from dewy.testing import Recorder

KILLED = Path(__file__).with_name("killed_dewy.py")
SERVER = (sys.executable, "-I", "-S", str(APPLICATION), "say=READY=1")


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@contextlib.contextmanager
def orphaned(root: Path, port: int, *command: str) -> Iterator[int]:
    """Runs an application under a dewy and kills that one; yields the application's pid."""
    dewy = subprocess.Popen([sys.executable, str(KILLED), str(root), str(port), *command], stdout=subprocess.PIPE, text=True)
    assert dewy.stdout
    pid = int(dewy.stdout.readline())
    wait_for(lambda: (record := read_record(root)) and any(group.pid == pid for group in record.groups), "the record")
    dewy.kill()
    dewy.wait()
    dewy.stdout.close()
    assert alive(pid)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def stop(root: Path, timeout: float = 10) -> Recorder:
    recorder = Recorder()
    Orphans(root, recorder).end(timeout)
    return recorder


def test_the_port_is_free_after_the_orphan_has_finished(tmp_path: Path) -> None:
    port = free_port()
    with orphaned(tmp_path, port, *SERVER) as pid:
        told = stop(tmp_path)
        assert told.of(events.ORPHAN_STOPPED) == [{"group": pid, "how": "it finished"}]
        assert not alive(pid)
        bind(parse_ports([f"127.0.0.1:{port}"]), Recorder()).close()
        assert stop(tmp_path).names == []


def way_made(root: Path, port: int, timeout: float) -> tuple[float, Recorder]:
    """Takes the port as the next dewy does; the seconds that it took."""
    began, recorder = time.monotonic(), Recorder()
    orphans = Orphans(root, recorder)
    orphans.make_way(lambda: bind(parse_ports([f"127.0.0.1:{port}"]), Recorder()), timeout).close()
    took = time.monotonic() - began
    orphans.end(timeout)
    return took, recorder


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of a system call")
def test_one_whose_first_thread_is_gone_has_the_port_until_its_last_is(tmp_path: Path) -> None:
    """Seen as dead, and still listening: what Go and Java programs are for a moment when they end on a busy machine."""
    script = (
        "import ctypes, os, signal, threading, time\n"
        "def last(): time.sleep(0.5); os._exit(0)\n"
        "def leave(*_): threading.Thread(target=last).start(); ctypes.CDLL(None).syscall(60, 0)\n"
        "signal.signal(15, leave); open('up', 'w').close()\n"
        "while 1: time.sleep(9)"
    )
    port = free_port()
    with orphaned(tmp_path, port, sys.executable, "-I", "-S", "-c", script) as pid:
        wait_for((tmp_path / "up").exists, "the handler")
        took, told = way_made(tmp_path, port, 10)
        assert 0.4 < took < 5
        assert told.of(events.ORPHAN_STOPPED) == [{"group": pid, "how": "it finished"}]


def test_one_that_keeps_the_port_is_killed_and_told_of_once(tmp_path: Path) -> None:
    script = "import signal, time\nsignal.signal(15, signal.SIG_IGN); open('up', 'w').close()\nwhile 1: time.sleep(9)"
    port = free_port()
    with orphaned(tmp_path, port, sys.executable, "-I", "-S", "-c", script) as pid:
        wait_for((tmp_path / "up").exists, "the handler")
        took, told = way_made(tmp_path, port, 0.5)
        assert 0.4 < took < 5
        assert told.of(events.ORPHAN_STOPPED) == [{"group": pid, "how": "it had to be killed"}]


def test_a_port_that_a_stranger_has_is_not_waited_for(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        began = time.monotonic()
        with pytest.raises(HostError, match="Address already in use"):
            way_made(tmp_path, port, 10)
        assert time.monotonic() - began < 1


def test_one_that_does_not_finish_is_killed_with_its_group(tmp_path: Path) -> None:
    script = "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\nos.fork(); os.fork()\nwhile 1: time.sleep(9)"
    with orphaned(tmp_path, free_port(), sys.executable, "-I", "-S", "-c", script) as pid:
        told = stop(tmp_path, 0.3)
        assert told.of(events.ORPHAN_STOPPED) == [{"group": pid, "how": "it had to be killed"}]
        assert not [process for process in all_processes() if process.group == pid and process.is_alive]


def test_workers_whose_leader_is_gone_are_found_too(tmp_path: Path) -> None:
    script = "import os, time\npid = os.fork()\nif pid: open('child', 'w').write(str(pid))\nwhile 1: time.sleep(9)"
    with orphaned(tmp_path, free_port(), sys.executable, "-I", "-S", "-c", script) as pid:
        child = int((tmp_path / "child").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the leader's end")
        assert alive(child)
        assert stop(tmp_path).of(events.ORPHAN_STOPPED)[0]["group"] == pid
        assert not alive(child)


def test_one_that_has_overwritten_its_environment_is_known_by_its_birth(tmp_path: Path) -> None:
    """As nginx does, and whatever sets its title for `ps`."""
    script = "echo ready; exec env -i sleep 60"
    with orphaned(tmp_path, free_port(), "/bin/sh", "-c", script) as pid:
        wait_for(lambda: b"DEWY_ROOT" not in Path(f"/proc/{pid}/environ").read_bytes(), "an empty environment")
        assert stop(tmp_path).of(events.ORPHAN_STOPPED) == [{"group": pid, "how": "it finished"}]


def test_one_that_has_left_its_group_is_known_by_its_mark(tmp_path: Path) -> None:
    with orphaned(tmp_path, free_port(), "/bin/sh", "-c", "setsid sleep 60 & echo $! > daemon; exec sleep 60") as pid:
        daemon = int((tmp_path / "daemon").read_text())
        wait_for(lambda: process_info(daemon).group == daemon, "a session of its own")
        told = stop(tmp_path)
        assert {told_of["group"] for told_of in told.of(events.ORPHAN_STOPPED)} == {pid, daemon}
        assert not alive(daemon)


def test_it_costs_nothing_where_there_never_was_a_dewy(tmp_path: Path) -> None:
    assert stop(tmp_path).names == []
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def stranger(tmp_path: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **environ}, process_group=0) as process:
        try:
            yield process
            assert process.poll() is None, "a stranger was killed"
        finally:
            process.kill()


def record(root: Path, **changes: object) -> str:
    """A file as a killed dewy leaves it; returns its token."""
    ledger = Ledger(root)
    ledger.close(5)
    path = root / ".dewy" / "generations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return ledger.mark.token


def test_a_shell_that_merely_has_the_roots_name_is_left_alone(tmp_path: Path) -> None:
    record(tmp_path)
    with stranger(tmp_path, DEWY_ROOT=str(tmp_path), DEWY_INSTANCE="guess"):
        assert stop(tmp_path).names == []


def test_the_application_of_another_root_is_left_alone(tmp_path: Path) -> None:
    token = record(tmp_path)
    with stranger(tmp_path, DEWY_ROOT=f"{tmp_path}/nested", DEWY_INSTANCE=token):
        assert stop(tmp_path).names == []


def test_a_shell_on_a_terminal_with_the_applications_environment_is_left_alone(tmp_path: Path) -> None:
    """Somebody looks for a fault with `env $(cat /proc/PID/environ …) sh`."""
    token = record(tmp_path)
    leader, follower = os.openpty()
    script = (
        f"import os, fcntl, termios, time\nfcntl.ioctl({follower}, termios.TIOCSCTTY, 0)\nprint(flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, pass_fds=[follower], stdout=subprocess.PIPE,
        env={**os.environ, "DEWY_ROOT": str(tmp_path), "DEWY_INSTANCE": token},
    ) as shell:  # fmt: skip
        assert shell.stdout
        shell.stdout.readline()
        assert process_info(shell.pid).terminal
        try:
            assert stop(tmp_path).names == []
            assert shell.poll() is None
        finally:
            shell.kill()
            os.close(leader)
            os.close(follower)


@pytest.mark.parametrize("other", ["birth", "boot"])
def test_a_number_that_has_gone_to_somebody_else_is_left_alone(tmp_path: Path, other: str) -> None:
    with stranger(tmp_path) as process:
        born = process_info(process.pid).started
        groups = [{"pid": process.pid, "started": born - 1 if other == "birth" else born}]
        record(tmp_path, groups=groups, **({"boot": "another"} if other == "boot" else {}))
        assert stop(tmp_path).names == []


def test_the_number_of_this_very_process_is_left_alone(tmp_path: Path) -> None:
    me = process_info(os.getpid())
    record(tmp_path, groups=[{"pid": me.pid, "started": me.started}, {"pid": me.group, "started": 0}])
    assert stop(tmp_path).names == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"token": ""}', b'{"token": "x", "boot": "", "session": 0, "groups": [1]}',
                b'{"token": "x", "boot": "", "session": 0, "groups": [{"pid": 0, "started": 0}]}', b"\xff" * 100,
                b"[" * 100_000],
)  # fmt: skip
def test_a_file_that_makes_no_sense_harms_nobody_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".dewy").mkdir()
    (tmp_path / ".dewy" / "generations.json").write_bytes(content)
    assert stop(tmp_path).names == []
    ledger = Ledger(tmp_path)
    ledger.close(5)
    found = read_record(tmp_path)
    assert found
    assert found.token == ledger.mark.token


def test_the_token_stays_for_the_life_of_the_root(tmp_path: Path) -> None:
    """So that even those are found whom the dewy before the last one has left."""
    assert record(tmp_path) == record(tmp_path)


def test_a_ledger_that_can_no_longer_be_written_does_not_fail(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        ledger.add(os.getpid())
        ledger.close(5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = read_record(tmp_path)
    assert found
    assert found.groups == ()


def test_a_shorter_record_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with stranger(tmp_path) as process:
        for _ in range(200):
            ledger.add(process.pid)
        ledger.remove(process.pid)
        ledger.add(os.getpid())
        ledger.close(5)
    found = read_record(tmp_path)
    assert found
    assert [group.pid for group in found.groups] == [os.getpid()]
    assert (tmp_path / ".dewy" / "generations.json").stat().st_size > 4096
