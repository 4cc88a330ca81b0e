"""One repository's releases: what the last poll has learnt, for whoever needs it next.

Shared: a catalog and the artifacts it names work with the same object, so that a download and an audit entry cost one
request each.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote
from weakref import WeakValueDictionary

from dewy.errors import DewyError
from dewy.http import HttpError
from dewy_registry_ghr.access import Access
from dewy_registry_ghr.api import Api
from dewy_registry_ghr.faults import said_codes
from dewy_registry_ghr.listing import Listing
from dewy_registry_ghr.location import RepositoryName
from dewy_registry_ghr.releases import Asset, AssetState, GitHubRelease

if TYPE_CHECKING:
    from dewy.http import HttpClient
    from dewy.types import Context, Stated

__all__ = ["Repository"]


class Repository:
    """A repository on GitHub. Its methods raise HttpError: call them inside :meth:`explained`.

    Args:
        name: Which one.
        api: The way to GitHub.
    """

    def __init__(self, name: RepositoryName, api: Api) -> None:
        self.name, self._api = name, api
        self._listing = Listing(name, api)
        self._known: dict[str, GitHubRelease] = {}

    @classmethod
    def shared(cls, name: RepositoryName, context: Context) -> Repository:
        """The repository, the same object for all who use it at the same time. Raises UsageError for a wrong environment."""
        access, http = Access.from_environ(context.environ), context.http
        with _LOCK:
            return _SHARED.setdefault((http, access, name), cls(name, Api(access, http, context.secret)))

    @property
    def access(self) -> Access:
        """How it is asked."""
        return self._api.access

    def explained(self, kind: type[DewyError], doing: str, part: str = "") -> AbstractContextManager[None]:
        """See :meth:`Api.explained`; ``part`` says what of the repository is asked for: "release v1.0.0"."""
        return self._api.explained(
            kind, doing, f"{part} in the repository {self.name}" if part else f"repository {self.name}"
        )

    def releases(self) -> tuple[GitHubRelease, ...]:
        """All published releases, each once."""
        if self._listing.poll():
            self._known = {release.tag: release for release in self._listing.releases}
        return self._listing.releases

    def release(self, tag: str) -> GitHubRelease:
        """One release: as the last poll has seen it, else asked for."""
        known = self._known.get(tag)
        if known is not None:
            return known
        answer = self._api.get(self._url_of_release(tag))
        release = self._api.read(answer, GitHubRelease.of)
        if release is None:
            raise HttpError(f"{self.access.host} says that the release {tag} is a draft", "Publish it")
        return release

    def download(self, tag: str, asset: Asset, to: BinaryIO) -> Stated:
        """Streams an asset's bytes."""
        try:
            return self._api.download(asset.url, to)
        except HttpError as error:
            if error.status == 404:  # uploaded anew, perhaps: the next try asks
                self._known.pop(tag, None)
            raise

    def attach(self, tag: str, name: str, content: bytes) -> None:
        """Uploads a text as an asset of a release. That the name is there already is no error."""
        release = self.release(tag)
        url = f"{release.upload_url.partition('{')[0]}?name={quote(name, safe='')}"
        try:
            answer = self._api.upload(url, content)
        except HttpError as error:
            there = self._state_of(tag, name) if error.status == 422 else None
            if there is None and "already_exists" not in said_codes(error):
                raise
            if there and there.state != "uploaded":  # what a failure on GitHub's side has left, which it says to delete
                self._api.delete(there.url)
                self._api.upload(url, content)
            self._known.pop(tag, None)  # the next to ask sees what is there now
            return
        asset = self._api.read(answer, Asset.of)
        if asset is not None and tag in self._known:
            self._known[tag] = release.with_asset(asset)

    def _state_of(self, tag: str, name: str) -> AssetState | None:
        """What is there under a name, uploaded in full or not; None when there is nothing. Asked for anew."""
        states = self._api.read(self._api.get(self._url_of_release(tag)), AssetState.all_of)
        return next((state for state in states if state.name == name), None)

    def _url_of_release(self, tag: str) -> str:
        return self._api.url(f"/repos/{self.name}/releases/tags/{quote(tag, safe='')}")


_LOCK = threading.Lock()
_SHARED: WeakValueDictionary[tuple[HttpClient, Access, RepositoryName], Repository] = WeakValueDictionary()
"""Those that somebody uses; whoever asks for the same with the same client gets the same."""
