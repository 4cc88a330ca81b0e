"""A catalog, which only lists, as a registry: against a real directory of versions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dewy.audit import parse_entry
from dewy.backends.file_catalog import FileCatalog
from dewy.catalog import CatalogRegistry
from dewy.choose import GRACE, Rules
from dewy.errors import RegistryError, ReleasePending
from dewy.types import ListedFile, ListedVersion, Platform, Registry, Report

LINUX = Platform("linux", "amd64")
NOW = datetime(2024, 3, 15, 14, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path


def publish(store: Path, tag: str, *names: str, at: datetime = NOW - timedelta(days=1)) -> None:
    directory = store / tag
    directory.mkdir(exist_ok=True)
    for path in [*(directory / name for name in names), directory]:
        if path != directory:
            path.write_text(path.name)
        os.utime(path, (at.timestamp(), at.timestamp()))


def registry(store: Path, *, pre_release: bool = False, artifact: str | None = None, now: datetime = NOW) -> CatalogRegistry:
    return CatalogRegistry(FileCatalog(store), Rules(pre_release=pre_release, artifact=artifact), lambda: now)


def reported(store: Path, error: str | None = None) -> list[str]:
    """The names of the text files beside the artifact after a report."""
    publish(store, "v1.0.0", "app.tar.gz")
    registry_ = registry(store)
    release = registry_.current(LINUX)
    registry_.report(Report(release=release, command="server", host="web-1", at=NOW, error=error))
    return sorted(path.name for path in (store / "v1.0.0").glob("*.txt"))


def test_it_is_a_registry(store: Path) -> None:
    assert isinstance(registry(store), Registry)


def test_the_newest_versions_artifact_is_offered(store: Path) -> None:
    publish(store, "v1.9.0", "app_linux_amd64.tar.gz")
    publish(store, "v1.10.0", "app_linux_amd64.tar.gz", "app_darwin_arm64.tar.gz", "checksums.txt")
    publish(store, "v2.0.0-rc.1", "app_linux_amd64.tar.gz")
    release = registry(store).current(LINUX)
    assert (release.version, release.artifact) == ("v1.10.0", "app_linux_amd64.tar.gz")
    assert release.url == (store / "v1.10.0" / "app_linux_amd64.tar.gz").as_uri()
    assert release.size == len("app_linux_amd64.tar.gz")
    assert registry(store).current(Platform("darwin", "arm64")).artifact == "app_darwin_arm64.tar.gz"


def test_pre_releases_and_a_named_artifact_are_the_users_to_ask_for(store: Path) -> None:
    publish(store, "v1.0.0", "app.tar.gz")
    publish(store, "v1.1.0-rc.1", "app.tar.gz", "other.tar.gz")
    release = registry(store, pre_release=True, artifact="other.tar.gz").current(LINUX)
    assert (release.version, release.artifact) == ("v1.1.0-rc.1", "other.tar.gz")


def test_a_deleted_version_gives_way_to_the_one_before(store: Path) -> None:
    """The registry is the truth (R26)."""
    publish(store, "v1.0.0", "app.tar.gz")
    publish(store, "v1.1.0", "app.tar.gz")
    asked = registry(store)
    assert asked.current(LINUX).version == "v1.1.0"
    (store / "v1.1.0" / "app.tar.gz").unlink()
    (store / "v1.1.0").rmdir()
    assert asked.current(LINUX).version == "v1.0.0"


def test_a_newest_version_that_is_still_uploaded_is_pending_and_no_older_one_is_taken(store: Path) -> None:
    publish(store, "v1.0.0", "app.tar.gz")
    publish(store, "v1.1.0", "checksums.txt", at=NOW)
    with pytest.raises(ReleasePending, match=r"v1\.1\.0 has no file"):
        registry(store).current(LINUX)
    with pytest.raises(RegistryError, match=r"v1\.1\.0 has no file") as raised:
        registry(store, now=NOW + GRACE).current(LINUX)
    assert not isinstance(raised.value, ReleasePending)
    publish(store, "v1.1.0", "app.tar.gz")
    assert registry(store).current(LINUX).version == "v1.1.0"


def test_a_registry_without_versions_says_so(store: Path) -> None:
    with pytest.raises(RegistryError, match="the registry has no versions"):
        registry(store).current(LINUX)
    publish(store, "nightly", "app.tar.gz")
    with pytest.raises(RegistryError, match="no version of the form asked for among nightly"):
        registry(store).current(LINUX)


def test_a_successful_deployment_is_recorded_beside_the_artifact(store: Path) -> None:
    (name,) = reported(store)
    entry = parse_entry(name)
    assert entry is not None
    assert (entry.host, entry.command, entry.at) == ("web-1", "server", NOW)
    assert "version: v1.0.0\nartifact: app.tar.gz\n" in (store / "v1.0.0" / name).read_text()


def test_an_entry_is_never_taken_for_the_artifact(store: Path) -> None:
    assert reported(store)
    assert registry(store).current(LINUX).artifact == "app.tar.gz"


def test_a_failed_deployment_is_not_recorded(store: Path) -> None:
    assert reported(store, error="it did not start") == []


class ReadOnlyStore:
    """A catalog without the power to attach, as most strangers' are."""

    def versions(self) -> Iterable[ListedVersion]:
        yield ListedVersion("v1.0.0", NOW)

    def files(self, version: ListedVersion) -> Iterable[ListedFile]:
        yield ListedFile("app.tar.gz", f"https://store.test/{version.tag}/app.tar.gz")


def test_a_store_that_takes_no_entries_is_a_registry_too() -> None:
    """Its lists may be generators, and a report to it does nothing."""
    asked = CatalogRegistry(ReadOnlyStore(), Rules(pre_release=False, artifact=None), lambda: NOW)
    release = asked.current(LINUX)
    assert release.url == "https://store.test/v1.0.0/app.tar.gz"
    asked.report(Report(release=release, command="assets", host="web-1", at=NOW))


class RecordingStore(ReadOnlyStore):
    """A catalog that remembers for which version it was given an entry."""

    attached: ListedVersion | None = None

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        self.attached = version


def test_the_entry_is_attached_to_the_version_as_it_was_listed() -> None:
    """A store may find what it learnt at the last poll by it."""
    store = RecordingStore()
    asked = CatalogRegistry(store, Rules(pre_release=False, artifact=None), lambda: NOW)
    asked.report(Report(release=asked.current(LINUX), command="server", host="web-1", at=NOW))
    assert store.attached == ListedVersion("v1.0.0", NOW)


class FailingStore(ReadOnlyStore):
    """A catalog whose store is gone."""

    def versions(self) -> Iterable[ListedVersion]:
        raise RegistryError("the store is gone")


def test_a_failing_store_is_passed_on() -> None:
    asked = CatalogRegistry(FailingStore(), Rules(pre_release=False, artifact=None), lambda: NOW)
    with pytest.raises(RegistryError, match="the store is gone"):
        asked.current(LINUX)


def test_a_version_of_which_only_audit_entries_are_left_was_deleted(store: Path) -> None:
    publish(store, "v1.0.0", "app.tar.gz")
    publish(store, "v1.1.0", "app.tar.gz")
    asked = registry(store)
    release = asked.current(LINUX)
    asked.report(Report(release=release, command="server", host="web-1", at=NOW))
    (store / "v1.1.0" / "app.tar.gz").unlink()
    assert asked.current(LINUX).version == "v1.0.0"


class Folders:
    """A store that knows no publication, and lists the empty folders of versions that were deleted."""

    def __init__(self, *deleted: str) -> None:
        self.deleted = deleted

    def versions(self) -> Iterable[ListedVersion]:
        return [ListedVersion("v1.0.0"), *map(ListedVersion, self.deleted)]

    def files(self, version: ListedVersion) -> Iterable[ListedFile]:
        return [] if version.tag in self.deleted else [ListedFile("app.tar.gz", "file:///app.tar.gz")]


def test_empty_folders_are_passed_over_within_bounds() -> None:
    def asked(*deleted: str) -> CatalogRegistry:
        return CatalogRegistry(Folders(*deleted), Rules(pre_release=False, artifact=None), lambda: NOW)

    assert asked("v1.1.0", "v2.0.0").current(LINUX).version == "v1.0.0"
    with pytest.raises(RegistryError, match=r"newest versions have no files, as if they were deleted: v2\.49\.0"):
        asked(*(f"v2.{number}.0" for number in range(50))).current(LINUX)
