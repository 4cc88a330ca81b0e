"""The user's own deploy hooks: shell commands, at the same moments as the hooks of plugins (section 6)."""

from __future__ import annotations

import signal
from typing import Literal

from dewy.errors import HookError
from dewy.events import HOOK_DONE, HOOK_FAILED, HOOK_OUTPUT
from dewy.hooks.output import HookOutput
from dewy.hooks.process import HookLimits, HookRun, run_shell
from dewy.runtime import Runtime
from dewy.types import Deployment, FieldValue, Outcome, Result

__all__ = ["HookPhase", "ShellHooks", "explain", "hook_environment"]

_MOST_ERROR = 1000
"""Characters of an error that a hook is told."""

HookPhase = Literal["before", "after", "rollback"]


class ShellHooks:
    """Runs the user's commands, in the deployer's thread."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self._before, self._environ = settings.before_hook, settings.environ
        self._afterwards: dict[Outcome, tuple[HookPhase, str]] = {
            "deployed": ("after", settings.after_hook),
            "rolled_back": ("rollback", settings.rollback_hook),
        }
        self._limits = HookLimits(settings.hook_timeout, settings.stop_timeout)
        self._waker, self._emit, self._redact = runtime.waker, runtime.emit, runtime.context.redact

    def dewy_before_deploy(self, deployment: Deployment) -> None:
        """Runs the before-deploy command; one that fails stops the deployment (R61).

        Raises:
            HookError: It fails.
            Stopping: dewy stops, and the command did not end in time.
        """
        if self._before and (failure := self._run("before", self._before, deployment)):
            raise failure

    def dewy_after_deploy(self, deployment: Deployment, result: Result) -> None:
        """Runs the after-deploy command if the new version runs, and the rollback command if it was undone.

        One that fails is told and changes nothing. Raises Stopping as :meth:`dewy_before_deploy`.
        """
        phase, command = self._afterwards.get(result.outcome, ("after", ""))
        if command:
            self._run(phase, command, deployment, result.error or "")

    def _run(self, phase: HookPhase, command: str, deployment: Deployment, error: str = "") -> HookError | None:
        """Runs a command and says how it went; the failure, if it failed."""
        output = HookOutput(
            self._redact, lambda line: self._emit(HOOK_OUTPUT, phase=phase, version=deployment.version, line=line)
        )
        environ = {**self._environ, **hook_environment(deployment, phase, error)}
        began = self._waker.monotonic()
        status, trouble = None, "was ended because dewy stops"
        try:
            run = run_shell(command, deployment.root, environ, limits=self._limits, waker=self._waker, output=output)
            status, trouble = run.status, explain(run, self._limits.run)
        except (OSError, RuntimeError, ValueError) as problem:  # no room for a process, a thread; a NUL in a variable
            trouble = f"cannot be started: {problem}"
        finally:
            facts: dict[str, FieldValue] = {
                "phase": phase, "version": deployment.version, "hook": command, "status": status,
                "output": output.end(), "output_size": output.size, "seconds": round(self._waker.monotonic() - began, 3),
            }  # fmt: skip
            if trouble:
                self._emit(HOOK_FAILED, **facts, error=trouble)
            else:
                self._emit(HOOK_DONE, **facts)
        if not trouble:
            return None
        return HookError(f"the {phase} hook {command!r} {trouble}", "See its output in the log" if output.size else "")


def hook_environment(deployment: Deployment, phase: HookPhase, error: str = "") -> dict[str, str]:
    """What a hook is told about the deployment (R60): the same in every phase, but for the phase and the error."""
    return {
        "DEWY_VERSION": deployment.version,
        "DEWY_PREVIOUS_VERSION": deployment.previous_version,
        "DEWY_RELEASE_DIR": str(deployment.directory),
        "DEWY_COMMAND": deployment.command,
        "DEWY_DEPLOYMENT": deployment.id,
        "DEWY_HOOK": phase,
        "DEWY_ERROR": _one_line(error),
    }


def _one_line(text: str) -> str:
    """A text that an environment variable can hold: a NUL or a lone surrogate would keep the hook from starting."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in line[:_MOST_ERROR])


def explain(run: HookRun, limit: float) -> str:
    """Why a hook failed, as the end of a sentence; empty when it did not."""
    if run.status is None:
        return f"was killed after {limit:g}s, its time limit"
    if run.status < 0:
        return f"was ended by {_signal_name(-run.status)}"
    return f"ended with status {run.status}" if run.status else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        return f"signal {number}"
