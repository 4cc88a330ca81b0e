"""How a plugin says what it brings: URL schemes, options, and how a URL becomes an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from dewy.http import HttpClient
    from dewy.urls import BackendURL

__all__ = [
    "CATALOG_OPTIONS",
    "NOTIFIER_OPTIONS",
    "SHARED_CACHE_OPTIONS",
    "Backend",
    "Context",
    "Option",
    "OptionKind",
]

T_co = TypeVar("T_co", covariant=True)

OptionKind = Literal["text", "flag", "integer", "seconds", "url"]
"""What an option's value is read as: ``flag`` takes true or false, ``seconds`` a number or a duration such as ``30s``."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a backend's URL, as in ``s3://…?endpoint=URL``.

    From these declarations come the parsing, the error texts, ``dewy plugins list`` and the documentation.

    Attributes:
        name: As the user writes it, lower case with dashes.
        help: What it does, a phrase without a full stop.
        kind: How its value is read.
        default: Its value when the URL does not have it, as the user would write it; None for "not set".
        secret: Its value is never shown: it is replaced in every text that leaves dewy.
    """

    name: str
    help: str
    kind: OptionKind = "text"
    default: str | None = None
    secret: bool = False


CATALOG_OPTIONS: tuple[Option, ...] = (
    Option("pre-release", "take pre-releases too, as staging does", kind="flag", default="false"),
    Option("artifact", "the artifact's file name, where the one for this platform is not to be found by itself"),
)
"""The options by which dewy chooses from a catalog (R25, R27). Every catalog's backend declares them."""

SHARED_CACHE_OPTIONS: tuple[Option, ...] = (
    Option("registry-ttl", "ask the registry once in this time for all hosts that share the cache", kind="seconds"),
    Option("artifact-ttl", "how long an artifact stays that no host has needed", kind="seconds", default="7d"),
    Option("keep", "how many artifacts it keeps", kind="integer", default="20"),
    Option("max-size", "how large all artifacts together may grow, as in 500M or 5G", default="2G"),
)
"""The options by which dewy works with a cache of a whole fleet (R42, R43, R45). Each shared cache declares them."""

NOTIFIER_OPTIONS: tuple[Option, ...] = (
    Option("quiet", "tell only what matters: deployed, failed, rolled back", kind="flag", default="false"),
)
"""The options by which dewy chooses what a notifier is told (R52). Every notifier's backend declares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend(Generic[T_co]):
    """What a plugin brings: how one kind of URL becomes an object that dewy works with.

    Attributes:
        schemes: The URL schemes it answers to, lower case.
        summary: What it is, one line.
        examples: Example URLs; they are parsed by the conformance kit and shown to users.
        open: Builds the object. The only place that imports an SDK. It may read ``context.environ``; it must not
            talk to the network (the first call of a method does). Raises UsageError for a URL it cannot work with.
        options: The URL's options; None when the query belongs to the resource, as in ``https://host/file?signature=…``.
        environment: The variables that change what a URL leads to (an endpoint, say): two hosts on which they differ do
            not share an answer or an artifact, though their URLs are the same.
        local: What a URL leads to is this host's own, as a directory is, and never shared with another host.
    """

    schemes: tuple[str, ...]
    summary: str
    examples: tuple[str, ...]
    open: Callable[[BackendURL, Context], T_co]
    options: tuple[Option, ...] | None = ()
    environment: tuple[str, ...] = ()
    local: bool = False


class Context(Protocol):
    """What dewy lends to a backend when it opens it."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment; a backend reads this, never ``os.environ``."""

    @property
    def cache_directory(self) -> Path:
        """Where a cache on this host's disk lives (R41). It need not exist yet."""

    @property
    def http(self) -> HttpClient:
        """The polite HTTP client, shared by all backends of the process."""

    def secret(self, value: str) -> str:
        """Has a value (a token from the environment, say) replaced in every text that leaves dewy; returns it."""
