"""What crosses the boundary between dewy and a plugin: facts as frozen dataclasses, powers as protocols.

A new fact is a new field with a default, never a new argument. An optional power is a protocol of its own, which a
backend has by having its methods. Pure: nothing here touches the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from dewy.http import HttpClient
    from dewy.urls import BackendURL

__all__ = [
    "CATALOG_OPTIONS",
    "Artifact",
    "AtomicCache",
    "AttachingCatalog",
    "Backend",
    "Cache",
    "Catalog",
    "Command",
    "Context",
    "Deployment",
    "Event",
    "FieldValue",
    "Level",
    "ListedFile",
    "ListedVersion",
    "Message",
    "Notifier",
    "Option",
    "OptionKind",
    "PinningCache",
    "Platform",
    "Registry",
    "Release",
    "Report",
    "Result",
    "Stated",
]

# --------------------------------------------------------------------------------------------------- how a backend is named

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
    """

    schemes: tuple[str, ...]
    summary: str
    examples: tuple[str, ...]
    open: Callable[[BackendURL, Context], T_co]
    options: tuple[Option, ...] | None = ()


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


# ------------------------------------------------------------------------------------------------------------ registries


@dataclass(frozen=True, slots=True)
class Platform:
    """What this host runs, in Go's names.

    Attributes:
        os: ``linux`` or ``darwin``.
        arch: ``amd64``, ``arm64``, ``arm``, ``386``, ``riscv64``, …
        variant: Of ``arm``: ``v6`` or ``v7``. Otherwise empty.
    """

    os: str
    arch: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.arch, self.variant) if part)


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """One version that a catalog has.

    Attributes:
        tag: The version as the store spells it, ``v1.4.0`` say. What is no version at all may be listed too: dewy
            passes it over.
        published: When it was published; None when the store does not know. Aware of its time zone.
    """

    tag: str
    published: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of a version: an artifact, or a checksum, a signature, an audit entry, …

    Attributes:
        name: Its name without a folder.
        url: Where an artifact backend gets it, in one of the forms that WIRE fixes.
        size: In bytes; None when the store does not say.
        digest: What the store itself states of the bytes, ``ALGORITHM:HEX`` as in ``sha256:9f86…``; None when it does
            not. It is trusted, and a download that differs is refused.
        fingerprint: Anything that changes when the bytes do (an ETag, say) and need not be a digest; None when the
            store has nothing of the kind.
        modified: When it was last written. Aware of its time zone.
    """

    name: str
    url: str
    size: int | None = None
    digest: str | None = None
    fingerprint: str | None = None
    modified: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a registry offers as the version to run: one artifact of one version.

    Attributes:
        version: The version's tag, as the registry spells it.
        artifact: The artifact's file name.
        url: Where an artifact backend gets it.
        size: In bytes, when stated.
        digests: What is stated of the bytes, each ``ALGORITHM:HEX``.
        fingerprint: Changes when the bytes do; see :class:`ListedFile`.
        published: When the version was published.
        id: The registry's own name for this answer, given back in the report (gRPC).
        checksums: Files beside the artifact that may state digests of it.
    """

    version: str
    artifact: str
    url: str
    size: int | None = None
    digests: tuple[str, ...] = ()
    fingerprint: str | None = None
    published: datetime | None = None
    id: str = ""
    checksums: tuple[ListedFile, ...] = ()


Command = Literal["server", "assets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What dewy tells the registry after a deployment (R29).

    Attributes:
        release: What was deployed.
        command: ``server`` or ``assets``.
        host: This host's name, lower case.
        at: When it was done, UTC.
        error: Why it failed; None on success.
    """

    release: Release
    command: Command
    host: str
    at: datetime
    error: str | None = None


@runtime_checkable
class Catalog(Protocol):
    """A store that lists what it has; dewy chooses. What most registries are.

    Both methods raise RegistryError (or anything: it is then named as the plugin's failure) when the store fails.
    """

    def versions(self) -> Iterable[ListedVersion]:
        """All versions, in any order. Called at every poll: use conditional requests where there are any."""

    def files(self, version: ListedVersion) -> Iterable[ListedFile]:
        """All files of one version that ``versions`` has listed, in any order."""


@runtime_checkable
class AttachingCatalog(Catalog, Protocol):
    """A catalog that also stores small text files beside a version: how dewy writes its audit entries (R29)."""

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        """Stores ``content`` as the file ``name`` of a version. A file of that name is replaced or left as it is."""


@runtime_checkable
class Registry(Protocol):
    """A registry that decides by itself which version is current, as the user's own gRPC server does."""

    def current(self, platform: Platform) -> Release:
        """What this platform should run now. Raises RegistryError, or its child ReleasePending for "not yet"."""

    def report(self, report: Report) -> None:
        """Records a deployment, done or failed. Raising is logged and changes nothing."""


# ------------------------------------------------------------------------------------------------- artifacts and caches


@dataclass(frozen=True, slots=True)
class Stated:
    """What a source said of the bytes it sent; dewy holds them against what arrived.

    Attributes:
        size: In bytes; None when it did not say.
        digests: Each ``ALGORITHM:HEX``. Algorithms that dewy can check: those of hashlib, and ``crc32``.
    """

    size: int | None = None
    digests: tuple[str, ...] = ()


class Artifact(Protocol):
    """One file at one URL."""

    def download(self, to: BinaryIO) -> Stated:
        """Streams the bytes into ``to``, in pieces, never all in memory.

        An interrupted transfer is continued from where it broke off, inside this call, where the protocol can. ``to``
        takes ``write`` only. Raises ArtifactError when it fails for good.
        """


@runtime_checkable
class Cache(Protocol):
    """A store of byte streams by key. Keys are 1 to 512 characters; any character may occur in one.

    Every method raises CacheError when the store fails.
    """

    def read(self, key: str) -> BinaryIO | None:
        """A stream of the value, which the caller closes; None when there is none. Never a half-written value."""

    def write(self, key: str, source: BinaryIO) -> None:
        """Stores all that ``source`` has under ``key``, replacing what was there. Visible only when whole."""

    def delete(self, key: str) -> None:
        """Removes a value. That there is none is no error."""

    def keys(self) -> Iterable[str]:
        """The keys of all whole values, in any order."""


@runtime_checkable
class AtomicCache(Cache, Protocol):
    """A cache shared by many hosts, with the one operation from which claims are built."""

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None) -> bool:
        """Stores a small value if the present one is ``expected`` (None: there is none); whether it did.

        ``ttl``: seconds after which the store itself forgets it; None for never.
        """


@runtime_checkable
class PinningCache(Cache, Protocol):
    """A cache that removes old values by itself and must be told which ones are needed."""

    def pin(self, keys: Sequence[str]) -> None:
        """Never remove these; the first is the artifact that runs now. Replaces what was pinned before."""


# ------------------------------------------------------------------------------------------------------ deployments, hooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment, as deploy hooks see it.

    Attributes:
        version: The version that is being deployed.
        previous_version: The one that runs until then; empty on the first deployment.
        artifact: The artifact's file name.
        digest: Of the artifact as it arrived, ``sha256:HEX``.
        directory: The release directory; before the deployment it does not exist yet.
        root: The application's root directory.
        command: ``server`` or ``assets``.
    """

    version: str
    previous_version: str
    artifact: str
    digest: str
    directory: Path
    root: Path
    command: Command


Outcome = Literal["deployed", "failed", "vetoed"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a deployment ended.

    Attributes:
        outcome: ``deployed``; ``failed``: the previous version serves on; ``vetoed``: a before-hook said no.
        seconds: How long it took.
        error: Why it did not end well; None if it did.
    """

    outcome: Outcome
    seconds: float
    error: str | None = None


# ------------------------------------------------------------------------------------------------------ events, messages

Level = Literal["debug", "info", "warn", "error"]
FieldValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that people or programs may want to know, said once. See the page of events for the names.

    Attributes:
        name: Stable, ``deployment.done`` say.
        level: How much it matters.
        text: A sentence for people.
        at: When, UTC.
        fields: The same facts for programs; names are stable. Secrets are already replaced.
    """

    name: str
    level: Level
    text: str
    at: datetime
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a notifier tells people; title and text can be used as they are.

    Attributes:
        event: The event's name.
        level: How much it matters.
        title: What happened, one short line.
        text: The details, a few lines.
        application: The name of the application's root directory.
        host: This host's name.
        version: The version it is about, or empty.
        previous_version: The version that ran before, or empty.
        registry: The registry's URL without its secrets.
        seconds: How long it took, where that makes sense.
        hook: The hook's command, where it is about one.
        output: What the hook or the application printed, the end of it.
        error: What went wrong, or empty.
        at: When, UTC.
    """

    event: str
    level: Level
    title: str
    text: str
    application: str
    host: str
    at: datetime
    version: str = ""
    previous_version: str = ""
    registry: str = ""
    seconds: float | None = None
    hook: str = ""
    output: str = ""
    error: str = ""


class Notifier(Protocol):
    """A way to tell people."""

    def send(self, message: Message) -> None:
        """Delivers one message. Raises NotifierError when it could not; dewy then tries again a few times."""
