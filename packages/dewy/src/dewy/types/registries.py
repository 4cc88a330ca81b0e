"""Where versions are: what a registry lists or decides, and what it is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

__all__ = [
    "AttachingCatalog",
    "Catalog",
    "Command",
    "ListedFile",
    "ListedVersion",
    "Platform",
    "Registry",
    "Release",
    "Report",
]


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
