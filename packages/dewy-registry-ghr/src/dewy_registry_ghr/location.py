"""Which repository, which of its files, and the URLs that say so. Pure.

``ghr://OWNER/REPO`` names a registry, ``ghr://OWNER/REPO/tag/TAG/FILE`` an artifact. Artifact URLs travel between hosts, so
what :meth:`RepositoryName.url_of` makes is fixed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from dewy.errors import UsageError

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["AssetName", "RepositoryName", "is_plain_name"]

_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}\Z")
_FORM = "The form is ghr://OWNER/REPO, as in ghr://example/myapp"
_ARTIFACT_FORM = "The form is ghr://OWNER/REPO/tag/TAG/FILE, a slash in the tag written as %2F"
_TOKEN = "The token comes from GH_TOKEN or GITHUB_TOKEN"  # noqa: S105 - where it comes from, not one


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """A repository by its name. ``str`` shows it to people as they write it: ``owner/repo``.

    Attributes:
        owner: The user or organisation.
        repository: The repository's own name.
    """

    owner: str
    repository: str

    @classmethod
    def of_registry(cls, url: BackendURL) -> RepositoryName:
        """The repository that a registry URL names. Raises UsageError."""
        match url.path.split("/"):
            case ["", repository] | ["", repository, ""]:
                return _named(url, repository, _FORM)
            case [""]:
                raise UsageError(f"{url} names no repository", _FORM)
        raise UsageError(f"{url} has more in its path than a repository", _FORM)

    def url_of(self, tag: str, file: str) -> str:
        """The artifact URL of a release's file."""
        return f"ghr://{self.owner}/{self.repository}/tag/{quote(tag, safe='')}/{quote(file, safe='')}"

    def __str__(self) -> str:
        return f"{self.owner}/{self.repository}"


@dataclass(frozen=True, slots=True)
class AssetName:
    """A file of a release. ``str`` shows its URL; it holds no secret.

    Attributes:
        repository: Where the release is.
        tag: The release's tag.
        file: The asset's name.
    """

    repository: RepositoryName
    tag: str
    file: str

    @classmethod
    def of_artifact(cls, url: BackendURL) -> AssetName:
        """The file that an artifact URL names. A slash in the tag may stand as it is. Raises UsageError."""
        match [unquote(part) for part in urlsplit(url.raw).path.split("/")]:
            case ["", repository, "tag", *tag, file] if tag and all(tag) and is_plain_name(file):
                if "/".join(tag).isprintable():
                    return cls(_named(url, repository, _ARTIFACT_FORM), "/".join(tag), file)
        raise UsageError(f"the artifact URL {url} names no file of a release", _ARTIFACT_FORM)

    def __str__(self) -> str:
        return self.repository.url_of(self.tag, self.file)


def is_plain_name(name: str) -> bool:
    """Whether an asset's name can be a file's: not empty, no slash, all of it printable."""
    return bool(name) and "/" not in name and name.isprintable()


def _named(url: BackendURL, repository: str, form: str) -> RepositoryName:
    if url.username or url.password:
        raise UsageError(f"{url} has a user name in it", _TOKEN)
    if url.port is not None:
        raise UsageError(
            f"{url} has a port where an owner stands",
            f"{form}; the address of a GitHub Enterprise Server goes into GITHUB_API_URL, as in https://HOST/api/v3",
        )
    owner = url.host_as_written
    for what, name in (("owner", owner), ("repository", repository)):
        if not name:
            raise UsageError(f"{url} names no {what}", form)
        if not _NAME.match(name):
            raise UsageError(f"{name!r} in {url} cannot be the name of {'an' if what == 'owner' else 'a'} {what}", form)
    return RepositoryName(owner, repository)
