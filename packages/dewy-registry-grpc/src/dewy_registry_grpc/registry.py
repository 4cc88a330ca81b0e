"""The registry: two calls of ``RegistryService``, and what goes into them."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from dewy.errors import RegistryError
from dewy.types import Platform, Release, Report
from dewy_registry_grpc._registry_pb2 import CurrentRequest, CurrentResponse, ReportRequest
from dewy_registry_grpc.answer import release_of
from dewy_registry_grpc.connection import Connection

__all__ = ["GrpcRegistry"]

_SERVICE = "/dewy.RegistryService"
_LONGEST_REASON = 4096
"""Characters of a failure's reason: servers take messages of a few megabytes at most, and people read less."""


class GrpcRegistry:
    """A server that decides what runs where: a :class:`dewy.types.Registry`.

    Args:
        connection: The way to it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server = str(connection.target)

    def current(self, platform: Platform) -> Release:
        """What the server wants this platform to run.

        Raises:
            RegistryError: It has nothing for it, cannot be asked, or answered with something that cannot be used.
        """
        request = CurrentRequest(arch=platform.arch, os=platform.os)
        content, metadata = self._connection.call(
            f"{_SERVICE}/Current", request.SerializeToString(), f"asking {self._server} what {platform} should run"
        )
        try:
            answer = CurrentResponse.FromString(content)
        except DecodeError:
            raise RegistryError(
                f"{self._server} answered with something that is no CurrentResponse",
                "Make the server from the registry.proto of dewy-registry-grpc",
            ) from None
        return release_of(answer, metadata, self._server)

    def report(self, report: Report) -> None:
        """Tells the server how a deployment ended. Raises RegistryError."""
        release = report.release
        request = ReportRequest(id=_text(release.id), tag=_text(release.version), command=report.command)
        if report.error is not None:
            request.err = _text(report.error)[:_LONGEST_REASON]
        self._connection.call(
            f"{_SERVICE}/Report", request.SerializeToString(), f"reporting {release.version} to {self._server}"
        )


def _text(text: str) -> str:
    """As protobuf takes it: what an application has printed need not be Unicode."""
    return text.encode("utf-8", "replace").decode()
