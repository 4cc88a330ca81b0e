"""Calling deploy hooks: one by one, each with a limit and in its own boundary."""

from __future__ import annotations

from dewy import events
from dewy.errors import DewyError
from dewy.plugins import Hook, Plugin
from dewy.runtime import Runtime
from dewy.shellhooks import ShellHooks
from dewy.types import Deployment, Result

__all__ = ["DeployHooks"]

_MARGIN = 15.0
"""Seconds that a shell hook has to be ended in, beyond its own limit, before it is given up from outside."""


class DeployHooks:
    """The deploy hooks of plugins, then the user's shell commands."""

    def __init__(self, runtime: Runtime) -> None:
        self._emit, self._guard = runtime.emit, runtime.guard
        self._limit = runtime.settings.hook_timeout + _MARGIN
        shell, plugin = ShellHooks(runtime), Plugin("shell hooks", "", "", "loaded")
        before = Hook(plugin, "dewy_before_deploy", shell.dewy_before_deploy, ("deployment",))
        after = Hook(plugin, "dewy_after_deploy", shell.dewy_after_deploy, ("deployment", "result"))
        self._before = (*runtime.plugins.hooks("dewy_before_deploy"), before)
        self._after = (*runtime.plugins.hooks("dewy_after_deploy"), after)

    def ask(self, deployment: Deployment) -> None:
        """The before-hooks; the first that raises vetoes the deployment (R61). Raises DewyError or OSError."""
        for hook in self._before:
            self._call(hook, deployment=deployment)

    def follow(self, deployment: Deployment, result: Result) -> None:
        """The after-hooks, whatever each of them does."""
        for hook in self._after:
            try:
                self._call(hook, deployment=deployment, result=result)
            except (DewyError, OSError) as error:
                self._emit(events.PLUGIN_FAILED, plugin=str(hook.plugin), hook=hook.name, error=str(error))

    def _call(self, hook: Hook, **arguments: object) -> None:
        self._guard.call(str(hook.plugin), hook.name, lambda: hook(**arguments), limit=self._limit)
