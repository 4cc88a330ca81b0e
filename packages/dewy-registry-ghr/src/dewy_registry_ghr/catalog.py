"""A repository's releases as a catalog."""

from __future__ import annotations

from dewy.errors import RegistryError
from dewy.types import ListedFile, ListedVersion
from dewy_registry_ghr.location import is_plain_name
from dewy_registry_ghr.releases import Asset
from dewy_registry_ghr.repository import Repository

__all__ = ["GitHubCatalog"]


class GitHubCatalog:
    """What a repository has released: a :class:`dewy.types.AttachingCatalog`.

    Args:
        repository: The repository.
        pre_release: List releases that are marked as pre-releases on GitHub, too.
    """

    def __init__(self, repository: Repository, *, pre_release: bool) -> None:
        self._repository, self._pre_release = repository, pre_release

    def versions(self) -> tuple[ListedVersion, ...]:
        """The tags of all published releases.

        One that is marked as a pre-release is none for production, whatever its tag says (R25).
        """
        with self._repository.explained(RegistryError, f"listing the releases of {self._repository.name}"):
            releases = self._repository.releases()
        listed = [release for release in releases if self._pre_release or not release.prerelease]
        if releases and not listed:
            raise RegistryError(
                f"all {len(releases)} releases of {self._repository.name} are marked as pre-releases",
                "To take pre-releases, set pre-release=true in the registry URL",
            )
        return tuple(ListedVersion(release.tag, release.published) for release in listed)

    def files(self, version: ListedVersion) -> tuple[ListedFile, ...]:
        """The release's assets, as the last poll has seen them, but for those whose name cannot be a file's."""
        tag = version.tag
        with self._repository.explained(
            RegistryError, f"looking up the release {tag} of {self._repository.name}", f"release {tag}"
        ):
            release = self._repository.release(tag)
        return tuple(self._file(tag, asset) for asset in release.assets if is_plain_name(asset.name))

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        """Uploads a text as an asset of the release; one of that name is left as it is."""
        tag, repository = version.tag, self._repository
        if repository.access.is_anonymous:
            raise RegistryError(f"{name} is not attached to {tag} of {repository.name}: that takes a token", "Set GH_TOKEN")
        with repository.explained(RegistryError, f"attaching {name} to {tag} of {repository.name}", f"release {tag}"):
            repository.attach(tag, name, content.encode())

    def _file(self, tag: str, asset: Asset) -> ListedFile:
        return ListedFile(
            name=asset.name,
            url=self._repository.name.url_of(tag, asset.name),
            size=asset.size,
            digest=asset.digest,
            fingerprint=str(asset.id),
            modified=asset.updated,
        )
