"""The health check that the user asks for: a path that is got by HTTP, a command, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread

from dewy.errors import DewyError
from dewy.health.http import http_problem
from dewy.hooks.output import HookOutput
from dewy.hooks.process import HookLimits, run_shell
from dewy.hooks.shell import explain
from dewy.runtime import Runtime
from dewy.state import Deployed
from dewy.supervisor.addresses import Address
from dewy.waker import Stopping

__all__ = ["HealthCheck", "health_check"]

_LONGEST_PROBE = 5.0
"""Seconds that one look may take: an application that needs longer for its health is not healthy."""
_LOOK = 0.1
"""Seconds between two looks at whether it still runs, while a probe is under way."""


def health_check(runtime: Runtime) -> HealthCheck | None:
    """The check that the settings ask for; None where they ask for none."""
    settings = runtime.settings
    return HealthCheck(runtime) if settings.health_path or settings.health_command else None


class HealthCheck:
    """Looks whether a version is healthy."""

    def __init__(self, runtime: Runtime) -> None:
        self._settings, self._waker, self._redact = runtime.settings, runtime.waker, runtime.context.redact
        self._limit = min(_LONGEST_PROBE, runtime.settings.health_timeout)

    def problem(self, release: Deployed, addresses: Sequence[Address], check: Callable[[], DewyError | None]) -> str:
        """Why a version is not healthy, as the end of a sentence that begins with "it"; empty if it is.

        Args:
            release: The version.
            addresses: Where it listens; the first one is asked.
            check: Is asked meanwhile whether anything else has happened.

        Raises:
            DewyError: What ``check`` has found.
            Stopping: dewy stops.
        """
        found: list[str] = []
        probe = Thread(target=lambda: found.append(self._probe(release, addresses)), name="health check", daemon=True)
        probe.start()
        while probe.is_alive():
            if error := check():
                raise error
            self._waker.wait_for(lambda: not probe.is_alive(), _LOOK)
        return found[0] if found else "could not be looked at"

    def _probe(self, release: Deployed, addresses: Sequence[Address]) -> str:
        settings = self._settings
        if settings.health_path and addresses and (problem := http_problem(addresses[0], settings.health_path, self._limit)):
            return problem
        return self._command(release, addresses) if settings.health_command else ""

    def _command(self, release: Deployed, addresses: Sequence[Address]) -> str:
        settings = self._settings
        told = {
            "DEWY_VERSION": release.version,
            "DEWY_RELEASE_DIR": str(settings.root / "releases" / release.directory),
            "DEWY_HEALTH_ADDRESS": _shown(addresses[0]) if addresses else "",
            "DEWY_HEALTH_ADDRESSES": " ".join(map(_shown, addresses)),
        }
        output = HookOutput(self._redact, lambda _line: None)
        limits = HookLimits(self._limit, 0.0)
        try:
            run = run_shell(
                settings.health_command, settings.root, {**settings.environ, **told},
                limits=limits, waker=self._waker, output=output,
            )  # fmt: skip
        except OSError as error:
            return f"could not be looked at: {error}"
        except Stopping:
            return "was not looked at: dewy stops"
        problem, printed = explain(run, self._limit), output.end()
        return f"failed its health command, which {problem}{_last_line(printed)}" if problem else ""


def _shown(address: Address) -> str:
    return address.path or (
        f"[{address.host}]:{address.port}" if address.kind == "ipv6" else f"{address.host}:{address.port}"
    )


def _last_line(output: str) -> str:
    lines = output.splitlines()
    return f" ({lines[-1][:200]})" if lines else ""
