"""Calling deploy hooks one by one, so that none of them keeps another, or dewy, from going on."""

from __future__ import annotations

from dewy import events
from dewy.errors import DewyError
from dewy.hooks.shell import ShellHooks
from dewy.plugins import Hook
from dewy.runtime import Runtime
from dewy.types import Deployment, Result
from dewy.waker import Stopping

__all__ = ["DeployHooks"]


class DeployHooks:
    """The deploy hooks of plugins, each with a limit and in its own boundary, then the user's shell commands.

    The commands have limits of their own, and are waited for in the deployer's thread: when dewy stops they may finish,
    which the call of a plugin may not.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._emit, self._guard, self._waker = runtime.emit, runtime.guard, runtime.waker
        self._limit = runtime.settings.hook_timeout
        self._shell = ShellHooks(runtime)
        self._before = runtime.plugins.hooks("dewy_before_deploy")
        self._after = runtime.plugins.hooks("dewy_after_deploy")

    def ask(self, deployment: Deployment) -> None:
        """The before-hooks; the first that raises vetoes the deployment (R61).

        Raises:
            DewyError: It is vetoed.
            OSError: As DewyError.
            Stopping: dewy stops: nothing more is begun, whatever the hooks have said.
        """
        for hook in self._before:
            self._call(hook, deployment=deployment)
        self._shell.dewy_before_deploy(deployment)
        if self._waker.stopped:
            raise Stopping

    def follow(self, deployment: Deployment, result: Result) -> None:
        """The after-hooks, whatever each of them does. Raises Stopping when dewy stops meanwhile."""
        for hook in self._after:
            began = self._waker.monotonic()
            try:
                self._call(hook, deployment=deployment, result=result)
            except (DewyError, OSError) as error:
                self._emit(
                    events.HOOK_FAILED,
                    phase="rollback" if result.outcome == "rolled_back" else "after", version=deployment.version,
                    hook=str(hook.plugin), output="", output_size=0, error=str(error),
                    seconds=round(self._waker.monotonic() - began, 3),
                )  # fmt: skip
        self._shell.dewy_after_deploy(deployment, result)

    def _call(self, hook: Hook, **arguments: object) -> None:
        self._guard.call(str(hook.plugin), hook.name, lambda: hook(**arguments), limit=self._limit)
