"""The tokens by which a GitHub App may read and write where it is installed: made when needed, renewed before they expire.

"Generating an installation access token for a GitHub App" in GitHub's documentation; the library for the signature is
imported when the first is made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dewy.http import HttpError
from dewy_registry_ghr.access import Access, App
from dewy_registry_ghr.releases import parse_time

if TYPE_CHECKING:
    from dewy.http import HttpClient, Response

__all__ = ["API_FIELDS", "InstallationToken"]

API_FIELDS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
"""Header fields of every request for JSON."""

_SPARE = timedelta(minutes=5)
"""A token that is left less is renewed: a poll of many pages must not outlive it."""

_BACKDATED, _LIFETIME = timedelta(seconds=60), timedelta(minutes=9)
"""Of the signed request: clocks differ a little, and GitHub takes at most ten minutes."""

_APP_HINT = "Check GITHUB_APP_ID, GITHUB_APP_INSTALLATION_ID, the private key, and this host's clock"


class InstallationToken:
    """The current token of one installation. May be used from several threads.

    Args:
        access: Which GitHub.
        app: The app and its installation.
        http: Asks.
        secret: Is told each token; see :meth:`dewy.types.Context.secret`.
    """

    def __init__(self, access: Access, app: App, http: HttpClient, secret: Callable[[str], str]) -> None:
        self._access, self._app, self._http, self._secret = access, app, http, secret
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = datetime.min.replace(tzinfo=UTC)

    def current(self) -> str:
        """A token that is good for some minutes yet. Raises HttpError."""
        with self._lock:
            if not self._token or datetime.now(UTC) >= self._renew_at:
                self._token, self._renew_at = self._renewed()
            return self._token

    def forget(self) -> None:
        """Has the next :meth:`current` make a new one: GitHub did not accept this one."""
        with self._lock:
            self._token = ""

    def _renewed(self) -> tuple[str, datetime]:
        what = f"{self._access.host} gives no token to {self._access.source}"
        try:
            answer = self._ask()
        except HttpError as error:
            hint = error.hint if error.transient else _APP_HINT
            raise HttpError(
                f"{what}: {error.message}", hint, transient=error.transient, retry_after=error.retry_after
            ) from error
        match answer.json():
            case {"token": str(token), "expires_at": expires} if token and (until := parse_time(expires)):
                return self._secret(token), until - _SPARE
        raise HttpError(f"{what}: the answer has none", "Is GITHUB_API_URL the address of GitHub's API?")

    def _ask(self) -> Response:
        return self._http.request(
            "POST",
            f"{self._access.api}/app/installations/{self._app.installation}/access_tokens",
            headers={**API_FIELDS, "Content-Type": "application/json"},
            credentials={"Authorization": f"Bearer {self._signed()}"},
            content=b"{}",
            repeat=True,
        )

    def _signed(self) -> str:
        """What proves to be the app: a JSON Web Token, signed with its private key."""
        import jwt

        now = datetime.now(UTC)
        claims = {"iat": now - _BACKDATED, "exp": now + _LIFETIME, "iss": self._app.id}
        try:
            return jwt.encode(claims, self._key(), algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise HttpError(
                f"its private key cannot be used ({type(error).__name__})", "It is the PEM file that GitHub made", sent=False
            ) from None  # what the library says may quote the key

    def _key(self) -> str:
        """Read each time: a key that was exchanged needs no restart."""
        if self._app.key:
            return self._app.key
        try:
            return self._secret(Path(self._app.key_path).read_text(encoding="ascii"))
        except OSError as error:
            reason = f"its private key cannot be read: {error.strerror} ({self._app.key_path})"
            raise HttpError(reason, "Check GITHUB_APP_PRIVATE_KEY_PATH", sent=False) from error
