"""The user's own hooks."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from dewy.shellhooks import MOST_OUTPUT, HookLimits, HookRun, explain, run_shell
from dewy.waker import Stopping, Waker


def run(command: str, directory: Path, *, limit: float = 30, waker: Waker | None = None, **environ: str) -> HookRun:
    environment = {"PATH": os.environ["PATH"], **environ}
    return run_shell(command, directory, environment, limits=HookLimits(limit, 0.2), waker=waker or Waker())


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def eventually(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_it_runs_in_the_root_with_the_environment_and_both_outputs_are_kept(tmp_path: Path) -> None:
    done = run("pwd; echo $DEWY_VERSION; echo oops >&2", tmp_path, DEWY_VERSION="v2")
    assert done.status == 0
    assert done.output == f"{tmp_path}\nv2\noops"


def test_a_failing_command_says_its_status_or_signal(tmp_path: Path) -> None:
    assert explain(run("exit 3", tmp_path), 30) == "ended with status 3"
    assert explain(run("kill -9 $$", tmp_path), 30) == "was ended by SIGKILL"
    assert explain(run("no-such-command", tmp_path), 30) == "ended with status 127"
    assert explain(run("true", tmp_path), 30) == ""


def test_one_that_outlives_its_limit_is_killed_with_its_children(tmp_path: Path) -> None:
    """Also those that do not listen to SIGTERM."""
    began = time.monotonic()
    done = run("trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 60' & wait; sleep 60", tmp_path, limit=0.5)
    assert done.status is None
    assert explain(done, 0.5) == "was killed after 0.5s, its time limit"
    assert time.monotonic() - began < 20
    eventually(lambda: gone(int(done.output)))


def test_what_it_prints_is_kept_within_bounds(tmp_path: Path) -> None:
    done = run("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the end", tmp_path)
    assert len(done.output) < MOST_OUTPUT + 200
    assert done.output.endswith("\nthe end")
    assert done.output.startswith("[49")


def test_a_process_left_behind_that_keeps_the_output_open_delays_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run("sleep 30 & echo $!", tmp_path)
    assert done.status == 0
    assert time.monotonic() - began < 10
    os.kill(int(done.output), 9)


def test_when_dewy_stops_it_may_finish_within_a_bound(tmp_path: Path) -> None:
    waker = Waker()
    threading.Timer(0.2, waker.stop).start()
    assert run("sleep 0.3; echo done", tmp_path, waker=waker).output == "done"


def test_when_dewy_stops_a_long_one_is_ended(tmp_path: Path) -> None:
    waker = Waker()
    threading.Timer(0.2, waker.stop).start()
    began = time.monotonic()
    with pytest.raises(Stopping):
        run("sleep 60", tmp_path, waker=waker)
    assert time.monotonic() - began < 20


def test_a_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run("true", tmp_path / "gone")
