"""A hook's command may do what it likes: it ends within its limits, and nothing of it stays in dewy."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dewy.hooks.output import HookOutput
from dewy.hooks.process import HookLimits, run_shell
from dewy.supervisor.procfs import all_processes
from dewy.waker import Stopping, Waker

SECONDS = 20


@dataclass
class Ran:
    """How a command ended."""

    status: int | None
    output: str
    lines: list[str]
    seconds: float
    size: int


def run(command: str, directory: Path, *, limit: float = 30, stop: float = 0.2, waker: Waker | None = None) -> Ran:
    lines: list[str] = []
    output = HookOutput(str, lines.append)
    began = time.monotonic()
    limits, environ = HookLimits(limit, stop), {"PATH": os.environ["PATH"]}
    done = run_shell(command, directory, environ, limits=limits, waker=waker or Waker(), output=output)
    return Ran(done.status, output.end(), lines, time.monotonic() - began, output.size)


def lives(pid: int) -> bool:
    return any(process.pid == pid and process.is_alive for process in all_processes())


def eventually(condition: object, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def pid_in(file: Path) -> int:
    eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """After each test there are no more threads, descriptors and children (and zombies) than before."""

    def now() -> tuple[set[threading.Thread], int, set[int]]:
        children = {process.pid for process in all_processes() if process.parent == os.getpid()}
        return set(threading.enumerate()), len(os.listdir("/proc/self/fd")), children  # noqa: PTH208

    before = now()
    yield
    after = now()
    assert after[0] <= before[0], "threads"
    assert after[1] <= before[1], "descriptors"
    assert after[2] <= before[2], "children"


def test_it_runs_in_the_directory_and_both_outputs_are_taken(tmp_path: Path) -> None:
    done = run("pwd; echo oops >&2", tmp_path)
    assert done.status == 0
    assert done.output == f"{tmp_path}\noops"
    assert done.lines == [str(tmp_path), "oops"]


def test_lines_are_told_while_it_runs(tmp_path: Path) -> None:
    """It waits for an answer to a line that it has printed."""
    os.mkfifo(tmp_path / "answer")

    def answer(line: str) -> None:
        if line == "ready?":
            (tmp_path / "answer").write_text("yes\n")

    output = HookOutput(str, answer)
    limits, environ = HookLimits(SECONDS, 1), {"PATH": os.environ["PATH"]}
    assert run_shell("echo 'ready?'; read a < answer; test $a = yes", tmp_path, environ, limits=limits, waker=Waker(),
                     output=output).status == 0  # fmt: skip


def test_one_that_outlives_its_limit_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """Also those that do not listen to SIGTERM, and those in groups and sessions of their own."""
    (tmp_path / "deaf").write_text("trap '' TERM; echo $$ > $1; echo here; sleep 60; sleep 60\n")
    command = (
        "trap '' TERM; sh deaf child & setsid sh deaf session & timeout 60 sh deaf group & "
        "sh -c 'setsid sh deaf grandchild & wait' & wait; sleep 60"
    )
    done = run(command, tmp_path, limit=1)
    assert done.status is None
    assert done.seconds < SECONDS
    assert done.lines.count("here") == 4
    for name in ("child", "session", "group", "grandchild"):
        assert not lives(pid_in(tmp_path / name)), name


def test_one_that_listens_may_clean_up(tmp_path: Path) -> None:
    """Also a child of it, when the shell itself is gone at once."""
    (tmp_path / "tidy").write_text("trap 'sleep 0.3; echo tidied; exit' TERM; echo $$ > pid; sleep 60 & wait\n")
    done = run("sh tidy & wait", tmp_path, limit=0.5)
    assert done.status is None
    assert done.lines[-1:] == ["tidied"]
    assert not lives(pid_in(tmp_path / "pid"))


def test_a_flood_is_read_in_bounded_memory(tmp_path: Path) -> None:
    with contextlib.suppress(OSError):  # not every kernel can
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _peak()
    done = run("head -c 1073741824 /dev/zero; echo; echo the end", tmp_path)
    assert (done.status, done.size) == (0, (1 << 30) + 9)
    assert done.output.endswith("\nthe end")
    assert _peak() - before < 16 << 10, "KiB"


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def test_a_flood_of_lines_costs_no_more_than_reading_it(tmp_path: Path) -> None:
    done = run("yes | head -c 200000000", tmp_path)
    assert done.size == 200_000_000
    assert len(done.lines) <= 500


def test_a_flood_does_not_outlive_its_limit(tmp_path: Path) -> None:
    done = run("yes", tmp_path, limit=0.3)
    assert done.status is None
    assert done.seconds < SECONDS


def test_one_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    done = run("echo first; exec >&- 2>&-; sleep 0.3; touch done; exit 3", tmp_path)
    assert (done.status, done.lines) == (3, ["first"])
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("flood", ["", "yes & "])
def test_a_process_left_behind_that_keeps_the_output_open_delays_nothing(flood: str, tmp_path: Path) -> None:
    done = run(f"{flood}setsid sh -c 'echo $$ > pid; exec sleep 60' & while ! test -s pid; do sleep 0.01; done", tmp_path)
    assert done.status == 0
    assert done.seconds < 10
    os.kill(pid_in(tmp_path / "pid"), 9)


def test_when_dewy_stops_it_may_finish_within_a_bound(tmp_path: Path) -> None:
    waker = Waker()
    threading.Thread(target=lambda: (pid_in(tmp_path / "pid"), waker.stop())).start()
    done = run("echo $$ > pid; sleep 0.5; echo done", tmp_path, stop=SECONDS, waker=waker)
    assert (done.status, done.output) == (0, "done")


def test_when_dewy_stops_a_long_one_is_ended(tmp_path: Path) -> None:
    waker = Waker()
    stopper = threading.Thread(target=lambda: (pid_in(tmp_path / "pid"), waker.stop()))
    stopper.start()
    began = time.monotonic()
    with pytest.raises(Stopping):
        run("setsid sleep 60 & echo $! > pid; sleep 60", tmp_path, waker=waker)
    stopper.join()
    assert time.monotonic() - began < 10
    assert not lives(pid_in(tmp_path / "pid"))


def test_a_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run("true", tmp_path / "gone")


def test_it_is_ended_when_there_is_no_room_for_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def full(thread: threading.Thread) -> None:
        if thread.name == "hook":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        run("sleep 60", tmp_path)


_FIRST = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
from pathlib import Path
from test_hook_process import all_processes, run
done = run("setsid sleep 60 & sleep 60 & sh -c 'sleep 60 & wait' & wait", Path(sys.argv[1]), limit=0.3)
assert done.status is None
print([process for process in all_processes() if process.parent == os.getpid()])
"""
"""What a program does to which orphans fall, as they do to the first process of a container."""


def test_where_dewy_is_the_first_process_of_a_container_no_zombie_stays(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", _FIRST, str(tmp_path)]
    assert subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.02])
def test_one_that_ends_just_when_its_time_is_over_has_ended_or_was_killed(limit: float, tmp_path: Path) -> None:
    assert {run("exit 3", tmp_path, limit=limit).status for _ in range(20)} <= {3, None}
