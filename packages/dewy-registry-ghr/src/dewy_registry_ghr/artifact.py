"""An asset of a release as an artifact."""

from __future__ import annotations

from typing import BinaryIO

from dewy.errors import ArtifactError
from dewy.types import Stated
from dewy_registry_ghr.location import AssetName, is_plain_name
from dewy_registry_ghr.repository import Repository

__all__ = ["GitHubArtifact"]

_SHOWN = 8
"""So many names stand in an error text; the rest is counted."""


class GitHubArtifact:
    """One asset: a :class:`dewy.types.Artifact`.

    Args:
        name: Which one.
        repository: Where it is.
    """

    def __init__(self, name: AssetName, repository: Repository) -> None:
        self._name, self._repository = name, repository

    def download(self, to: BinaryIO) -> Stated:
        """Streams the asset into ``to``; what breaks off is taken up where it stopped. Raises ArtifactError.

        What is stated is what GitHub says of the asset, and what the host that has its bytes says of them.
        """
        tag, file = self._name.tag, self._name.file
        with self._repository.explained(ArtifactError, f"looking up {self._name}", f"release {tag}"):
            release = self._repository.release(tag)
        asset = release.asset(file)
        if asset is None:
            raise self._missing([asset.name for asset in release.assets if is_plain_name(asset.name)])
        with self._repository.explained(ArtifactError, f"downloading {self._name}", f"file {file} of release {tag}"):
            stated = self._repository.download(tag, asset, to)
        digests = (asset.digest, *stated.digests) if asset.digest else stated.digests
        return Stated(stated.size if asset.size is None else asset.size, tuple(dict.fromkeys(digests)))

    def _missing(self, names: list[str]) -> ArtifactError:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        there = f"its files are {', '.join(names[:_SHOWN])}{more}" if names else "it has no files"
        return ArtifactError(
            f"the release {self._name.tag} of {self._repository.name} has no file {self._name.file}: {there}",
            "Is it still being uploaded, or was it deleted?",
        )
