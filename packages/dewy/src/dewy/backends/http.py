"""The built-in https and http artifact: one file of any web server (R32)."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from dewy.errors import ArtifactError, UsageError
from dewy.types import Artifact, Context, Stated
from dewy.urls import BackendURL

if TYPE_CHECKING:
    from dewy.http import HttpClient

__all__ = ["HttpArtifact", "open_artifact"]


class HttpArtifact:
    """One file of a web server.

    Args:
        url: http or https; a user and password in it become basic authentication.
        client: Fetches it.
    """

    def __init__(self, url: str, client: HttpClient) -> None:
        self._url, self._client = url, client

    def download(self, to: BinaryIO) -> Stated:
        """Streams the file into ``to``; see :meth:`dewy.types.Artifact.download`."""
        from dewy.http import HttpError

        try:
            return self._client.download(self._url, to)
        except HttpError as error:
            raise ArtifactError(error.message, error.hint) from error


def open_artifact(url: BackendURL, context: Context) -> Artifact:
    """Opens the artifact that a URL names. Raises UsageError for a URL it cannot work with."""
    if not url.host:
        raise UsageError(f"the artifact URL {url} names no host", "It takes the form https://host/path/file")
    return HttpArtifact(url.raw, context.http)
