"""GitHub's REST API as this plugin uses it: whom requests go to, and with which credentials."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from urllib.parse import urlsplit

from dewy.errors import DewyError
from dewy.http import HttpError, RateLimited
from dewy_registry_ghr.access import Access
from dewy_registry_ghr.faults import fault_of
from dewy_registry_ghr.releases import Unreadable
from dewy_registry_ghr.tokens import API_FIELDS, InstallationToken

if TYPE_CHECKING:
    from dewy.http import HttpClient, Response
    from dewy.types import Stated

__all__ = ["Api"]

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_PORTS = {"http": 80, "https": 443}


class Api:
    """Asks one GitHub in one role. Its requests raise HttpError, which :meth:`explained` makes a sentence of.

    Args:
        access: Which GitHub, and as whom.
        http: Asks.
        secret: Is told what must never be shown; see :meth:`dewy.types.Context.secret`.
    """

    def __init__(self, access: Access, http: HttpClient, secret: Callable[[str], str]) -> None:
        self.access, self._http = access, http
        self._installation = InstallationToken(access, access.app, http, secret) if access.app else None
        for value in (access.token, access.app.key if access.app else ""):
            if value:
                secret(value)

    def url(self, path: str) -> str:
        """The address of something, by its path in the API."""
        return f"{self.access.api}{path}"

    def pages(self, url: str) -> Iterator[Response]:
        """A list, page by page; see :meth:`dewy.http.HttpClient.pages`."""
        return self._http.pages(url, headers=API_FIELDS, credentials=self._credentials(url))

    def get(self, url: str) -> Response:
        """One thing."""
        return self._http.get(url, headers=API_FIELDS, credentials=self._credentials(url))

    def delete(self, url: str) -> None:
        """Deletes one thing."""
        self._http.request("DELETE", url, headers=API_FIELDS, credentials=self._credentials(url))

    def upload(self, url: str, content: bytes) -> Response:
        """Uploads a text; ``url`` is on the host that GitHub named for it. May be repeated: a name is taken once only."""
        if urlsplit(url).scheme not in ("https", urlsplit(self.access.api).scheme):
            raise HttpError(f"{self.access.host} names an address for uploads that is none", "Is it a GitHub?", sent=False)
        headers = {**API_FIELDS, "Content-Type": "text/plain"}
        credentials = self._credentials(self.access.api)
        return self._http.request("POST", url, headers=headers, credentials=credentials, content=content, repeat=True)

    def download(self, url: str, to: BinaryIO) -> Stated:
        """Streams an asset's bytes. Mostly another host has them, to which GitHub redirects, and which gets no token."""
        headers = {"Accept": "application/octet-stream"}
        return self._http.download(url, to, headers=headers, credentials=self._credentials(url))

    def read(self, answer: Response, reader: Callable[[object], T]) -> T:
        """What an answer says. Raises HttpError, so that an answer that is not GitHub's never counts as an empty one."""
        try:
            return reader(answer.json())
        except Unreadable as error:
            raise HttpError(
                f"{answer.shown} answered with JSON that is not what GitHub documents: {error}",
                "Check GITHUB_API_URL and what stands between GitHub and this host",
            ) from error

    @contextmanager
    def explained(self, kind: type[DewyError], doing: str, what: str) -> Iterator[None]:
        """Makes every failed request of a block an error that a person can act on.

        Args:
            kind: What is raised.
            doing: What the block does, for the error's text: "listing the releases of …".
            what: What it asks for: "repository example/myapp".
        """
        try:
            yield
        except HttpError as error:
            if error.status == 401 and self._installation:
                self._installation.forget()
            fault = fault_of(error, self.access, what)
            cause = RateLimited(error.message, error.hint, retry_after=fault.pause) if fault.pause else error
            raise kind(f"{doing} failed: {fault.reason}", fault.hint) from cause

    def _credentials(self, url: str) -> dict[str, str]:
        """The token, for GitHub's own API only, wherever the addresses in its answers lead."""
        if _origin(url) != _origin(self.access.api):
            return {}
        if self.access.is_anonymous:
            _warn_of_anonymity(self.access.host)
            return {}
        token = self._installation.current() if self._installation else self.access.token
        return {"Authorization": f"Bearer {token}"}


@cache
def _warn_of_anonymity(host: str) -> None:
    """Once a process."""
    _LOG.warning(
        "%s is asked without a token: public repositories only, no audit entries, and some 60 requests an hour. "
        "Set GH_TOKEN, or poll every two minutes (--interval 2m)",
        host,
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
