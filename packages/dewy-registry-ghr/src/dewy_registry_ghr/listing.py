"""The list of a repository's releases, kept up to date at the least cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dewy.http import HttpError
from dewy_registry_ghr.api import Api
from dewy_registry_ghr.location import RepositoryName
from dewy_registry_ghr.releases import GitHubRelease, Unreadable

if TYPE_CHECKING:
    from dewy.http import Response

__all__ = ["Listing"]

_LOG = logging.getLogger(__name__)

_PASSES = 3
"""Over a list of several pages that changes while it is read."""

_MOST, _FEWEST = 100, 25
"""Releases on a page: what GitHub gives at most, and what is asked for at least."""

_HEAVY, _FAIR = 8 << 20, 4 << 20
"""Bytes of a page: from the first on fewer releases are asked for, so that it has about the second.

The audit entries of a large fleet make releases heavy. A page that is too heavy for the client's memory of answers would be
sent over and over, and one that is too heavy for GitHub never.
"""

_OVERWORKED = frozenset({502, 504})
"""What GitHub answers when a page takes it too long."""


@dataclass(frozen=True, slots=True)
class _Page:
    etag: str
    bytes: int
    releases: tuple[GitHubRelease, ...]


class Listing:
    """All published releases of a repository.

    Args:
        name: The repository.
        api: The way to GitHub.
    """

    def __init__(self, name: RepositoryName, api: Api) -> None:
        self._name, self._api = name, api
        self._pages: dict[str, _Page] = {}
        self._size = _MOST
        self._moved_to: str | None = None

    def poll(self) -> bool:
        """Brings the list up to date; whether anything has changed. Raises HttpError, and the list stays as it was."""
        pages, changed = self._pages, False
        # What moves from one page to another while they are read is missed: only a list that stands still is whole.
        for _ in range(_PASSES):
            pages, unsettled = self._read_all(pages)
            changed = changed or unsettled
            if not unsettled or len(pages) == 1:
                break
        self._pages = pages
        self._size = _fitting(self._size, max(page.bytes for page in self._pages.values()))
        return changed

    @property
    def releases(self) -> tuple[GitHubRelease, ...]:
        """Each once, as of the last poll."""
        found = (release for page in self._pages.values() for release in page.releases)
        return tuple({release.tag: release for release in found}.values())

    def _read_all(self, before: Mapping[str, _Page]) -> tuple[dict[str, _Page], bool]:
        """Reads all pages; and whether any says something else than before."""
        pages: dict[str, _Page] = {}
        changed = False
        for answer in self._answers():
            known = before.get(answer.url)
            etag = answer.headers.get("etag", "")
            if known is None or not etag or known.etag != etag:
                page = _Page(etag, len(answer.content), self._api.read(answer, _releases))
                # An ETag changes with every download that GitHub counts; what matters here need not.
                changed = changed or known is None or known.releases != page.releases
                known = page
            pages[answer.url] = known
        return pages, changed or pages.keys() != before.keys()

    def _answers(self) -> Iterator[Response]:
        """The pages, where the repository is now."""
        named = self._api.url(f"/repos/{self._name}/releases")
        first = f"{self._moved_to or named}?per_page={self._size}&page=1"
        answers = self._api.pages(first)
        try:
            for number, answer in enumerate(answers):
                if number == 0:
                    self._note_move(named, answer.url.partition("?")[0])
                yield answer
        except HttpError as error:
            if error.status == 404:
                self._moved_to = None
            elif error.status in _OVERWORKED or (error.status is None and error.sent and not error.transient):
                self._size = max(_FEWEST, self._size // 2)  # too much for GitHub or for the client
            raise

    def _note_move(self, named: str, found: str) -> None:
        """Asking for the old name would cost a request more at every poll."""
        if self._moved_to is None and urlsplit(found).path != urlsplit(named).path:
            self._moved_to = found
            _LOG.warning("the repository %s was renamed or moved: write its new name into the URL", self._name)


def _fitting(size: int, heaviest: int) -> int:
    """How many releases a page should have, where the heaviest of so many had so many bytes."""
    if heaviest > _HEAVY:
        return max(_FEWEST, size * _FAIR // heaviest)
    # Changing it costs every page once: only where all is well with the most.
    return _MOST if heaviest * _MOST < _FAIR * size else size


def _releases(document: object) -> tuple[GitHubRelease, ...]:
    if not isinstance(document, list):
        raise Unreadable("it is no list")
    found = (GitHubRelease.of(item) for item in document)
    return tuple(release for release in found if release is not None)
