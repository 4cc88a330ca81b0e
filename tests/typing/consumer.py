"""A plugin as its author's type checker sees it. Never run: mypy checks it against the installed wheels, strictly.

What is right here must pass; what is wrong carries an ignore comment, which mypy refuses as soon as it is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import BinaryIO, assert_type

from dewy import hookimpl
from dewy.errors import DewyError, NotifierError, RegistryError
from dewy.types import (
    CATALOG_OPTIONS,
    Artifact,
    AttachingCatalog,
    Backend,
    Cache,
    Catalog,
    Context,
    Deployment,
    Event,
    ListedFile,
    ListedVersion,
    Message,
    Notifier,
    Option,
    Platform,
    Registry,
    Release,
    Report,
    Result,
    Stated,
)
from dewy.urls import BackendURL, parse_url


class Shelf:
    """A catalog, with the power to attach."""

    def __init__(self, url: BackendURL, context: Context) -> None:
        self.where = assert_type(url.text("endpoint"), str | None)
        self.fast = assert_type(url.flag("pre-release"), bool)
        self.token = assert_type(context.secret(context.environ.get("SHELF_TOKEN", "")), str)

    def versions(self) -> Iterable[ListedVersion]:
        yield ListedVersion("v1.0.0", datetime.now(UTC))

    def files(self, version: ListedVersion) -> Iterable[ListedFile]:
        yield ListedFile("app.tar.gz", f"https://example.com/{version.tag}/app.tar.gz", size=1)

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        raise RegistryError(f"cannot store {name}", "Ask for write access")


class Oracle:
    """A registry that decides by itself."""

    def current(self, platform: Platform) -> Release:
        return Release(version="v1", artifact=platform.os, url="https://example.com/app")

    def report(self, report: Report) -> None:
        assert_type(report.error, str | None)


class Pipe:
    """An artifact."""

    def download(self, to: BinaryIO) -> Stated:
        return Stated(size=to.write(b"bytes"))


class Desk:
    """A cache."""

    def read(self, key: str) -> BinaryIO | None:
        return None

    def write(self, key: str, source: BinaryIO) -> None: ...

    def delete(self, key: str) -> None: ...

    def keys(self) -> Iterable[str]:
        return ()


class Bell:
    """A notifier."""

    def send(self, message: Message) -> None:
        raise NotifierError(message.title, retry_after=1.5)


class Half:
    """A catalog without its second method."""

    def versions(self) -> Iterable[ListedVersion]:
        return ()


SHELF: Backend[Registry | Catalog] = Backend(
    schemes=("shelf",),
    summary="versions on a shelf",
    examples=("shelf://host/name",),
    open=Shelf,
    options=(*CATALOG_OPTIONS, Option("endpoint", "where it is", kind="url")),
)


@hookimpl
def dewy_registries() -> Iterable[Backend[Registry | Catalog]]:
    return [SHELF]


@hookimpl
def dewy_before_deploy(deployment: Deployment) -> None:
    if deployment.previous_version == deployment.version:
        raise DewyError("nothing new")


@hookimpl
def dewy_after_deploy(deployment: Deployment, result: Result) -> None:
    assert_type(result.error, str | None)


@hookimpl
def dewy_event(event: Event) -> None:
    assert_type(event.name, str)


def conforms(url: BackendURL, context: Context) -> None:
    """Every class above is what it says, and mypy knows what is not."""
    catalog: AttachingCatalog = Shelf(url, context)
    registry: Registry = Oracle()
    artifact: Artifact = Pipe()
    cache: Cache = Desk()
    notifier: Notifier = Bell()
    half: Catalog = Half()  # type: ignore[assignment]
    swapped: Registry = catalog  # type: ignore[assignment]
    del registry, artifact, cache, notifier, half, swapped
    assert_type(parse_url("shelf://host/name"), BackendURL)
    Option("endpoint", "where it is", kind="path")  # type: ignore[arg-type]
    Release("v1", "app", "https://example.com/app")  # type: ignore[call-arg]
