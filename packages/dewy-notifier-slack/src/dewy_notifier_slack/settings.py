"""What the URL and the environment say: which channel, in which workspace, in what form. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from dewy.errors import UsageError

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["API_URL", "Channel", "Settings"]

API_URL = "https://slack.com/api/"
"""Where Slack's Web API is, unless ``SLACK_API_URL`` says otherwise."""

_FORM = "It takes the form slack://CHANNEL, with a name or an ID, as in slack://deploys or slack://C0123ABCDEF"
_MEMBER = "Write the member's ID (profile, …, Copy member ID), as in slack://U0123ABCDEF"
_CREDENTIALS = (
    "Set it to the Bot User OAuth Token (xoxb-…) of a Slack app with the scopes chat:write, channels:join and channels:read"
)
# IDs are upper case and names lower case: neither is ever taken for the other.
_ID = re.compile(r"[CDGUW][A-Z0-9]{6,}\Z")
_NAME = re.compile(r"[\w-]{1,80}\Z")
_HEADER_WORD = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages go.

    Attributes:
        name: The channel's name without ``#``; empty where its ID is given.
        id: The ID of a channel, a direct message or a member; empty where a name is given.
    """

    name: str = ""
    id: str = ""

    def __str__(self) -> str:
        """As ``chat.postMessage`` takes it, and as people read it."""
        return self.id or f"#{self.name}"

    @classmethod
    def read(cls, url: BackendURL) -> Channel:
        """The channel that a URL names. Raises UsageError when it names none, or has parts that mean nothing here."""
        if url.raw.partition("://")[2].startswith("@") or url.host_as_written.startswith("@"):
            raise UsageError(f"{url} names a person, whom Slack does not find by name", _MEMBER)
        if url.username or url.password:
            raise UsageError(f"{url} has a user name in it", "The token stands in SLACK_TOKEN, never in the URL")
        if url.port is not None or url.path.strip("/"):
            raise UsageError(f"{url} has more in it than a channel", _FORM)
        written = url.host_as_written.removeprefix("#")
        if _ID.match(written):
            return cls(id=written)
        if not _NAME.match(written):
            raise UsageError(f"{url} names no Slack channel", _FORM)
        return cls(name=written.lower())


@dataclass(frozen=True, slots=True)
class Settings:
    """How a notifier was asked to work.

    Attributes:
        channel: Where messages go.
        token: What dewy authorises itself by. Never shown.
        api_url: The base of Slack's Web API.
        title: What stands in place of the application's name; empty to keep it.
        link: Where the title of each message leads; empty for nowhere.
        thread: Whether the messages of one deployment make one thread.
    """

    channel: Channel
    token: str = field(repr=False)
    api_url: str = API_URL
    title: str = ""
    link: str = ""
    thread: bool = False

    @classmethod
    def read(cls, url: BackendURL, environ: Mapping[str, str]) -> Settings:
        """Reads ``slack://CHANNEL?…``, ``SLACK_TOKEN`` and ``SLACK_API_URL``.

        Raises:
            UsageError: One of them is missing or cannot be used.
        """
        return cls(
            channel=Channel.read(url),
            token=_token(environ),
            api_url=_web_address(environ.get("SLACK_API_URL") or API_URL, "SLACK_API_URL"),
            title=" ".join((url.text("title") or "").split()),
            link=_web_address(link, f"the option 'url' of {url}") if (link := url.text("url")) else "",
            thread=url.flag("thread"),
        )


def _token(environ: Mapping[str, str]) -> str:
    token = environ.get("SLACK_TOKEN", "").strip()
    if not token:
        raise UsageError("slack:// needs a token in SLACK_TOKEN, which is not set", _CREDENTIALS)
    if not _HEADER_WORD.match(token):
        raise UsageError("the value of SLACK_TOKEN is no token: it has blanks or other odd characters in it", _CREDENTIALS)
    return token


def _web_address(text: str, what: str) -> str:
    """A URL that may be shown and that an HTTP client takes. One that cannot be used is not quoted: it may hold a secret."""
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, text)):
        raise UsageError(f"{what} is not the URL of a web page", "It takes the form https://host/path")
    if "@" in parts.netloc:
        raise UsageError(f"{what} has a user name in it, which others would see", "Leave it out")
    return text


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # read for its ValueError
    except ValueError:
        return None
    return parts
