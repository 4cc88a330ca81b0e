"""Which GitHub is asked, and as whom, by what the environment says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from dewy.errors import UsageError

__all__ = ["Access", "App"]

_GITHUB = "https://api.github.com"
_TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")
_ADDRESSES = ("GITHUB_API_URL", "GITHUB_ENDPOINT")
_APP, _INSTALLATION, _KEY, _KEY_PATH = (
    "GITHUB_APP_ID",
    "GITHUB_APP_INSTALLATION_ID",
    "GITHUB_APP_PRIVATE_KEY",
    "GITHUB_APP_PRIVATE_KEY_PATH",
)


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App that is installed where the repository is.

    Attributes:
        id: Its id or client id.
        installation: The installation's id.
        key: Its private key, PEM; empty if it is in a file.
        key_path: The file with the private key; empty if it is in ``key``.
    """

    id: str
    installation: str
    key: str = field(default="", repr=False)
    key_path: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """Everything by which one way to GitHub differs from another.

    Attributes:
        api: The API's address, without a slash at its end.
        token: A token; empty when there is none, or an app.
        app: The app, where one is used.
        source: Where the credentials come from, in words; empty when there are none.
    """

    api: str = _GITHUB
    token: str = field(default="", repr=False)
    app: App | None = None
    source: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Access:
        """What the environment says: a whole app before a token, ``GH_TOKEN`` before ``GITHUB_TOKEN``.

        Raises:
            UsageError: The API's address is none, or half an app is all there is.
        """
        api = _address(environ)
        values = {name: environ.get(name, "").strip() for name in (_APP, _INSTALLATION, _KEY, _KEY_PATH)}
        missing = [name for name in (_APP, _INSTALLATION) if not values[name]]
        if not (values[_KEY] or values[_KEY_PATH]):
            missing.append(f"{_KEY} or {_KEY_PATH}")
        if not missing:
            # Files of environment variables have no line ends in a value: they stand there as \n.
            key = values[_KEY].replace("\\n", "\n")
            app = App(values[_APP], values[_INSTALLATION], key, "" if key else values[_KEY_PATH])
            return cls(api, app=app, source=f"the GitHub App {app.id}")
        for name in _TOKENS:
            if token := environ.get(name, "").strip():
                return cls(api, token, source=f"the token in {name}")
        if any(values.values()):
            raise UsageError(
                f"the GitHub App in the environment is incomplete: {' and '.join(missing)} not set",
                "Set them too, or a token in GH_TOKEN",
            )
        return cls(api)

    @property
    def host(self) -> str:
        """The API's host, as texts name it."""
        return urlsplit(self.api).netloc

    @property
    def is_anonymous(self) -> bool:
        """There are no credentials."""
        return not self.source

    @property
    def is_enterprise(self) -> bool:
        """It is another GitHub than the public one."""
        return self.api != _GITHUB


def _address(environ: Mapping[str, str]) -> str:
    name, address = next(((name, value) for name in _ADDRESSES if (value := environ.get(name, "").strip())), ("", _GITHUB))
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if parts.username or parts.password:
        raise UsageError(f"{name} has a user name or password in it", "The token comes from GH_TOKEN or GITHUB_TOKEN")
    if not usable or parts.query or parts.fragment or not address.isprintable():
        raise UsageError(
            f"{name} is {address!r}, which is not the address of an API",
            "Of a GitHub Enterprise Server it is https://HOST/api/v3",
        )
    return address.rstrip("/")
