"""The application that ``dewy server`` deploys: the deployer's view of it, over the bridge to the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from dewy.errors import DewyError, HostError, StartError
from dewy.settings import Settings
from dewy.state import Deployed
from dewy.supervisor.launch import Launch
from dewy.waker import Stopping, Waker

if TYPE_CHECKING:
    from dewy.supervisor.bridge import SupervisorBridge

__all__ = ["SupervisedApplication"]


class SupervisedApplication:
    """The :class:`dewy.deployment.Application` of a server."""

    def __init__(self, settings: Settings, bridge: SupervisorBridge, waker: Waker) -> None:
        self._settings, self._bridge, self._waker = settings, bridge, waker

    def start(self, release: Deployed) -> None:
        """Keeps a release running from now on. Raises StartError or HostError when the first try fails."""
        self._do(self._bridge.start, release)

    def swap(self, release: Deployed) -> None:
        """Runs a release in place of the present one. Raises StartError or HostError; the old one then serves on."""
        self._do(self._bridge.swap, release)

    def running(self) -> Collection[str]:
        """The release directories of all processes that still run, by name."""
        return {generation.release for generation in self._bridge.status.generations}

    def speaks_notify(self) -> bool:
        """Whether the application has been seen to say when it is ready."""
        return self._bridge.speaks_notify

    def _do(self, verb: Callable[[Launch], None], release: Deployed) -> None:
        try:
            verb(self._launch(release))
        except (StartError, HostError):
            raise
        except DewyError as error:
            if self._waker.stopped:
                # neither the version nor the deployment has failed: the next dewy goes on from here
                raise Stopping from error
            raise

    def _launch(self, release: Deployed) -> Launch:
        directory = self._settings.root / "releases" / release.directory
        told = {"DEWY_VERSION": release.version, "DEWY_RELEASE_DIR": str(directory)}
        return Launch(
            argv=self._settings.argv,
            directory=self._settings.root,
            environ={**self._settings.environ, **told},
            version=release.version,
            release=release.directory,
        )
