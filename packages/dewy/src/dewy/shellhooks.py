"""The user's own deploy hooks: shell commands, through the same hooks as any plugin's (section 6)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from dewy.errors import HookError
from dewy.events import HOOK_DONE, HOOK_FAILED
from dewy.runtime import Runtime
from dewy.types import Deployment, FieldValue, Result
from dewy.waker import Stopping, Waker

__all__ = ["MOST_OUTPUT", "HookLimits", "HookRun", "ShellHooks", "run_shell"]

MOST_OUTPUT = 64 * 1024
"""Bytes of a hook's output that are kept: the end of it."""

_GRACE = 5.0
"""Seconds between asking a hook to end and killing it."""
_LAST_WORDS = 1.0
"""Seconds to wait for output after the end, when a process that the hook left behind keeps it open."""

HookPhase = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class HookRun:
    """How a hook's command ended.

    Attributes:
        status: Its exit status; negative: the signal that ended it; None when it was killed for taking too long.
        output: What it printed on both streams, the end of it.
        seconds: How long it ran.
        output_size: Bytes that it printed in all.
    """

    status: int | None
    output: str
    seconds: float
    output_size: int = 0


class _Tail(threading.Thread):
    """Reads a stream to its end and keeps the last of it, in bounded memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="hook output", daemon=True)
        self._stream, self._kept, self._cut, self.size = stream, b"", 0, 0
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(self._stream.fileno(), 65536):
                self.size += len(piece)
                kept = self._kept + piece
                self._cut += max(0, len(kept) - MOST_OUTPUT)
                self._kept = kept[-MOST_OUTPUT:]

    def text(self) -> str:
        text = self._kept.decode("utf-8", "replace").rstrip("\n")
        return f"[{self._cut} bytes before this are left out]\n{text}" if self._cut else text


@dataclass(frozen=True, slots=True)
class HookLimits:
    """Bounds of a hook, in seconds.

    Attributes:
        run: How long it may take; then it is killed with its children.
        stop: How long it may go on when dewy stops.
    """

    run: float
    stop: float


def run_shell(command: str, directory: Path, environ: Mapping[str, str], *, limits: HookLimits, waker: Waker) -> HookRun:
    """Runs ``/bin/sh -c COMMAND`` in a process group of its own.

    Raises:
        Stopping: dewy stops, and the command was ended because it went on for too long.
        OSError: It cannot be started.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=directory, env=dict(environ), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with cast(IO[bytes], process.stdout) as stream:
        tail = _Tail(stream)
        watcher = threading.Thread(target=_watch, args=(process, waker), name="hook", daemon=True)
        watcher.start()
        try:
            ended = waker.wait_for(lambda: not watcher.is_alive() or process.returncode is not None, limits.run)
        except Stopping:
            watcher.join(limits.stop)
            if process.returncode is None:
                _end_group(process)
                raise
            ended = True
        if not ended:
            _end_group(process)
        tail.join(_LAST_WORDS)
        return HookRun(process.returncode if ended else None, tail.text(), round(time.monotonic() - started, 3), tail.size)


def _watch(process: subprocess.Popen[bytes], waker: Waker) -> None:
    process.wait()
    waker.notify()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Asks the whole group to end, then kills what is left. Its number stays taken while anything of it lives."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class ShellHooks:
    """The plugin that runs the user's commands."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self._before, self._after, self._environ = settings.before_hook, settings.after_hook, settings.environ
        self._limits = HookLimits(settings.hook_timeout, settings.stop_timeout)
        self._waker, self._emit = runtime.waker, runtime.emit

    def dewy_before_deploy(self, deployment: Deployment) -> None:
        """Runs the before-deploy command; one that fails stops the deployment (R61)."""
        if self._before:
            self._run("before", self._before, deployment)

    def dewy_after_deploy(self, deployment: Deployment, result: Result) -> None:
        """Runs the after-deploy command, if the new version runs."""
        if self._after and result.outcome == "deployed":
            self._run("after", self._after, deployment)

    def _run(self, phase: HookPhase, command: str, deployment: Deployment) -> None:
        try:
            run = run_shell(
                command,
                deployment.root,
                {**self._environ, **hook_environment(deployment)},
                limits=self._limits,
                waker=self._waker,
            )
        except OSError as error:
            raise HookError(f"the {phase} hook {command!r} cannot be started: {error}") from error
        self._tell(phase, command, deployment, run)

    def _tell(self, phase: HookPhase, command: str, deployment: Deployment, run: HookRun) -> None:
        error = explain(run, self._limits.run)
        facts: dict[str, FieldValue] = {
            "phase": phase,
            "version": deployment.version,
            "hook": command,
            "output": run.output,
            "output_size": run.output_size,
            "seconds": run.seconds,
        }
        if not error:
            self._emit(HOOK_DONE, **facts, status=0)
            return
        self._emit(HOOK_FAILED, **facts, status=run.status, error=error)
        raise HookError(f"the {phase} hook {command!r} {error}", "See its output in the log")


def hook_environment(deployment: Deployment) -> dict[str, str]:
    """What a hook is told about the deployment (R60)."""
    return {
        "DEWY_VERSION": deployment.version,
        "DEWY_PREVIOUS_VERSION": deployment.previous_version,
        "DEWY_RELEASE_DIR": str(deployment.directory),
        "DEWY_COMMAND": deployment.command,
    }


def explain(run: HookRun, limit: float) -> str:
    """Why a hook failed, as the end of a sentence; empty when it did not."""
    if run.status is None:
        return f"was killed after {limit:g}s, its time limit"
    if run.status < 0:
        return f"was ended by {signal.Signals(-run.status).name}"
    return f"ended with status {run.status}" if run.status else ""
