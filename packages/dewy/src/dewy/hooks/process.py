"""Running one shell command within limits: whatever it does, it ends, and nothing of it is left behind in dewy."""

from __future__ import annotations

import contextlib
import contextvars
import os
import select
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from dewy.hooks.family import Family
from dewy.hooks.output import HookOutput
from dewy.waker import Stopping, Waker

__all__ = ["HookLimits", "HookRun", "run_shell"]

_GRACE = 5.0
"""Seconds between asking a hook to end and killing it."""
_KILL_GRACE = 2.0
"""Seconds after killing it that are waited for the kernel to take it away."""
_LAST_WORDS = 1.0
"""Seconds to wait for output after the end, when a process that the hook left behind keeps it open."""
_READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class HookRun:
    """How a hook's command ended.

    Attributes:
        status: Its exit status; negative: the signal that ended it; None when it was killed for taking too long.
    """

    status: int | None


@dataclass(frozen=True, slots=True)
class HookLimits:
    """Bounds of a hook, in seconds.

    Attributes:
        run: How long it may take; then it is killed with its children.
        stop: How long dewy may take to stop, all told: the hook may go on for the most of it.
    """

    run: float
    stop: float


def run_shell(
    command: str, directory: Path, environ: Mapping[str, str], *, limits: HookLimits, waker: Waker, output: HookOutput
) -> HookRun:
    """Runs ``/bin/sh -c COMMAND`` in a session of its own.

    Args:
        command: What to run.
        directory: Where.
        environ: Its whole environment.
        limits: How long it may take.
        waker: How to wait.
        output: Is given what it prints on both streams, from a thread that has ended when this returns.

    Raises:
        Stopping: dewy stops, and the command was ended because it went on for too long.
        OSError: It cannot be started.
        RuntimeError: There is no room for a thread.
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=directory, env=dict(environ), start_new_session=True, bufsize=0,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watch = _Watch(process, waker)
    in_time = False
    try:
        with cast(IO[bytes], process.stdout) as stream, _reading(stream.fileno(), output):
            in_time = watch.wait(limits)
    finally:
        watch.close()
    return HookRun(process.returncode if in_time else None)


class _Watch:
    """Learns when a process has ended, and reaps it only when it is closed: until then its number is nobody else's."""

    def __init__(self, process: subprocess.Popen[bytes], waker: Waker) -> None:
        self._process, self._waker = process, waker
        self._over, self._free = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="hook", daemon=True)
        self._killed = False

    def wait(self, limits: HookLimits) -> bool:
        """Whether it has ended within its limits; else it was killed. Raises Stopping when it was because dewy stops."""
        self._thread.start()
        try:
            in_time = self._waker.wait_for(self._over.is_set, limits.run)
        except Stopping:
            if self._over.wait(limits.stop * 3 / 4):
                return True
            self._kill(min(_GRACE, limits.stop / 8))
            raise
        if not in_time:
            self._kill()
        return in_time

    def close(self) -> None:
        """Ends it, if it still lives, and reaps it. What not even a kill has ended is left to the thread to reap."""
        self._kill()
        self._free.set()
        if self._thread.ident is None:  # there was no room for the thread
            self._process.wait()
        else:
            self._thread.join(None if self._over.is_set() else _KILL_GRACE)

    def _kill(self, grace: float = _GRACE) -> None:
        if not self._killed and not self._over.is_set():
            self._killed = True
            Family(self._process.pid, lambda: not self._over.is_set()).end(grace, _KILL_GRACE)

    def _run(self) -> None:
        if hasattr(os, "waitid"):  # not on macOS before Python 3.13
            with contextlib.suppress(ChildProcessError):  # somebody else has reaped it
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        self._over.set()
        self._waker.notify()
        self._free.wait()
        self._process.wait()


@contextlib.contextmanager
def _reading(source: int, output: HookOutput) -> Iterator[None]:
    """Reads a pipe to its end in a thread of its own, which is not waited for longer than a moment after the block."""
    enough, enough_writer = os.pipe()
    here = contextvars.copy_context()  # what is told of it belongs to the deployment that is under way here
    thread = threading.Thread(target=here.run, args=(_read, source, enough, output), name="hook output", daemon=True)
    try:
        thread.start()
        try:
            yield
        finally:
            thread.join(_LAST_WORDS)
            os.write(enough_writer, b"x")
            thread.join()
    finally:
        os.close(enough)
        os.close(enough_writer)


def _read(source: int, enough: int, output: HookOutput) -> None:
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(enough, select.POLLIN)
    while enough not in (ready := dict(poll.poll())):
        piece = os.read(source, _READ) if source in ready else b""
        if not piece:
            return
        output.add(piece)
