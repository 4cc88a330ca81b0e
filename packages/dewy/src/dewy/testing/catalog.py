"""What a catalog is held to: it lists all there is, only that, and truly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeVar

import pytest

from dewy.errors import RegistryError
from dewy.testing.artifact import check_digest, check_stated
from dewy.testing.backend import BackendConformance, needs
from dewy.testing.context import TestContext
from dewy.testing.failures import check_sentence, fails_well
from dewy.testing.streams import WriteOnly
from dewy.types import (
    CATALOG_OPTIONS,
    Artifact,
    AttachingCatalog,
    Backend,
    Catalog,
    ListedFile,
    ListedVersion,
    Registry,
)
from dewy.urls import parse_url, scheme_of

__all__ = ["CatalogConformance", "CatalogStore"]

T = TypeVar("T")

_ENTRY = "shipped_to_web1_server_at_20240315T143022.000000000Z.txt"


class CatalogStore(Protocol):
    """The other side of the catalog, in a test: a server or a directory, empty at first."""

    @property
    def url(self) -> str:
        """The registry URL of the store."""

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        """Makes a version with these files; in one that is there, adds them or replaces those of the same names."""

    def remove(self, version: str) -> None:
        """Removes a version with all its files."""


class CatalogConformance(BackendConformance):
    """Subclass it, set ``backend``, ``plugin``, ``artifacts``, and override the fixtures ``store`` and ``unreachable``."""

    __test__ = False
    hook = "dewy_registries"
    kind = "registry"

    artifacts: ClassVar[tuple[Backend[Artifact], ...]]
    """The artifact backends that its files' URLs lead to."""

    attaches: ClassVar[bool] = False
    """Whether it stores audit entries: is an AttachingCatalog."""

    overwrites: ClassVar[bool] = True
    """Whether the store can replace the bytes of a file that is there."""

    many: ClassVar[int] = 120
    """A number of versions, and of files, that is more than the store lists at once, so that paging is tested."""

    odd_versions: ClassVar[tuple[str, ...]] = ("v1.0.0+build.5", "2.0.0-rc.1", "nightly")
    """Versions that the store must be able to hold, besides plain ones."""

    odd_names: ClassVar[tuple[str, ...]] = ("my app (1).tar.gz", "приложение.zip", "a+b%20c&d=e;f#g?h.bin")
    """File names that the store must be able to hold, besides plain ones."""

    @pytest.fixture
    def store(self) -> CatalogStore:
        """An empty store, to be overridden."""
        raise NotImplementedError("override the fixture 'store'")

    @pytest.fixture
    def unreachable(self) -> str:
        """A URL at which there is no store, to be overridden."""
        raise NotImplementedError("override the fixture 'unreachable'")

    @pytest.fixture
    def catalog(self, store: CatalogStore, context: TestContext) -> Any:
        """The catalog of the store."""
        return self.open(store.url, context)

    # ----------------------------------------------------------------------------------------------------- declaration

    def test_is_a_catalog(self, catalog: Catalog) -> None:
        """With its optional power if the class says so, and not a registry at the same time."""
        assert isinstance(catalog, Catalog), "a catalog has versions() and files()"
        assert not isinstance(catalog, Registry), "it is a catalog or a registry, not both"
        has = isinstance(catalog, AttachingCatalog)
        assert has == self.attaches, f"it has{'' if has else ' no'} attach(): set attaches = {has}"

    def test_declares_the_options_of_catalogs(self) -> None:
        """``pre-release`` and ``artifact`` are the core's business, in every catalog alike."""
        for option in CATALOG_OPTIONS:
            assert option in (self.backend.options or ()), f"declare {option.name!r}: options=(*CATALOG_OPTIONS, …)"

    # -------------------------------------------------------------------------------------------------------- versions

    def test_empty_store_lists_nothing(self, catalog: Catalog) -> None:
        """That nothing was published yet is no error."""
        assert list(catalog.versions()) == []

    def test_lists_each_version_once(self, store: CatalogStore, catalog: Catalog) -> None:
        """As the store spells it, with a time that is known or None."""
        tags = ["v1.0.0", "v1.1.0", *self.odd_versions]
        for tag in tags:
            store.publish(tag, {"app": tag.encode()})
        listed = list(catalog.versions())
        assert sorted(version.tag for version in listed) == sorted(tags)
        for version in listed:
            assert isinstance(version, ListedVersion)
            _check_time(version.published, f"published of {version.tag}")

    def test_lists_the_same_again(self, store: CatalogStore, catalog: Catalog) -> None:
        """Asking changes nothing."""
        for tag in ("v1.0.0", "v1.1.0"):
            store.publish(tag, {"app": b"1", "app.sha256": b"2"})
        assert _by_tag(catalog) == _by_tag(catalog)
        version = _by_tag(catalog)["v1.0.0"]
        assert _by_name(catalog, version) == _by_name(catalog, version)

    def test_sees_what_comes_and_goes(self, store: CatalogStore, catalog: Catalog) -> None:
        """The same object is asked at every poll, and the registry is the truth (R26)."""
        store.publish("v1.0.0", {"app": b"1"})
        assert set(_by_tag(catalog)) == {"v1.0.0"}
        store.publish("v1.1.0", {"app": b"2"})
        assert set(_by_tag(catalog)) == {"v1.0.0", "v1.1.0"}, "a version that came is not seen"
        store.remove("v1.1.0")
        assert set(_by_tag(catalog)) == {"v1.0.0"}, "a version that went is still listed"

    def test_lists_more_versions_than_a_page(self, store: CatalogStore, catalog: Catalog) -> None:
        """Stores answer in pages; all of them count."""
        tags = [f"v1.{number}.0" for number in range(self.many)]
        for tag in tags:
            store.publish(tag, {"app": b"x"})
        listed = [version.tag for version in catalog.versions()]
        assert len(listed) == len(set(listed)), "versions are listed twice"
        assert set(listed) == set(tags), (
            f"{len(set(tags) - set(listed))} of {self.many} versions are missing: follow the pages"
        )

    # ----------------------------------------------------------------------------------------------------------- files

    def test_lists_the_files_of_that_version_only(self, store: CatalogStore, catalog: Catalog) -> None:
        """Also where one version's name begins as another's does."""
        published = {tag: {f"app-{tag}.zip"} for tag in ("v1.0.0", "v1.0.0-rc.1", "v1.0.0-rc.10", "v1.0.00", "v1.0")}
        for tag, names in published.items():
            store.publish(tag, {name: tag.encode() for name in names})
        for tag, version in _by_tag(catalog).items():
            assert set(_by_name(catalog, version)) == published[tag], f"of {tag}"

    def test_lists_more_files_than_a_page(self, store: CatalogStore, catalog: Catalog) -> None:
        """An artifact on the second page is there all the same."""
        names = {f"app_{number:04}.zip" for number in range(self.many)}
        store.publish("v1.0.0", dict.fromkeys(names, b"x"))
        assert set(_by_name(catalog, _by_tag(catalog)["v1.0.0"])) == names

    def test_files_are_what_is_said_of_them(self, store: CatalogStore, catalog: Catalog, context: TestContext) -> None:
        """Name, size, digest and time are true, and the URL leads to the bytes."""
        files = {"app_linux_amd64.tar.gz": bytes(range(256)) * 999, "empty.txt": b"", "checksums.txt": b"0 app\n"}
        store.publish("v1.0.0", files)
        listed = _by_name(catalog, _by_tag(catalog)["v1.0.0"])
        assert set(listed) == set(files)
        for name, file in listed.items():
            self._check_file(file, files[name], context)

    def test_odd_names_and_versions_work(self, store: CatalogStore, catalog: Catalog, context: TestContext) -> None:
        """Blanks, other alphabets and what means something in URLs."""
        for tag in self.odd_versions:
            store.publish(tag, {name: f"{tag} {name}".encode() for name in self.odd_names})
        for tag, version in _by_tag(catalog).items():
            listed = _by_name(catalog, version)
            assert set(listed) == set(self.odd_names)
            for name, file in listed.items():
                self._check_file(file, f"{tag} {name}".encode(), context)

    @needs("overwrites")
    def test_other_bytes_are_noticed(self, store: CatalogStore, catalog: Catalog) -> None:
        """A file that was published anew has another fingerprint or digest, if the store has them."""
        store.publish("v1.0.0", {"app": b"first", "other": b"same"})
        before = _by_name(catalog, _by_tag(catalog)["v1.0.0"])
        store.publish("v1.0.0", {"app": b"other"})
        after = _by_name(catalog, _by_tag(catalog)["v1.0.0"])
        marks = [(files["app"].fingerprint, files["app"].digest) for files in (before, after)]
        assert marks[0] == (None, None) or marks[0] != marks[1], "other bytes have the same fingerprint and digest"

    def test_version_that_is_gone(self, catalog: Catalog) -> None:
        """It may be removed between the two calls: it has no files, or that is a RegistryError."""
        try:
            assert list(catalog.files(ListedVersion("v9.9.9"))) == []
        except RegistryError as error:
            check_sentence(error)

    def test_any_thread_may_ask(self, store: CatalogStore, catalog: Catalog) -> None:
        """Each call comes from a thread of its own, one after the other."""
        store.publish("v1.0.0", {"app": b"1"})
        versions = _in_thread(lambda: list(catalog.versions()))
        assert [file.name for file in _in_thread(lambda: list(catalog.files(versions[0])))] == ["app"]

    def test_unreachable_is_an_error(self, unreachable: str, context: TestContext) -> None:
        """A store that is down is a RegistryError, in time, and never an empty list: that would take the version away."""
        catalog: Catalog = self.open(unreachable, context)
        with fails_well(RegistryError, within=self.patience, secrets=context.secrets, or_http=True):
            list(catalog.versions())

    # --------------------------------------------------------------------------------------------------- audit entries

    @needs("attaches")
    def test_attached_is_listed_and_readable(
        self, store: CatalogStore, catalog: AttachingCatalog, context: TestContext
    ) -> None:
        """An audit entry stands beside the artifact, which stays as it is."""
        for tag in ("v1.0.0", "v1.0.0-rc.1"):
            store.publish(tag, {"app": b"1"})
        versions = _by_tag(catalog)
        catalog.attach(versions["v1.0.0"], _ENTRY, "deployed: příští verze\n")
        listed = _by_name(catalog, _by_tag(catalog)["v1.0.0"])
        assert set(listed) == {"app", _ENTRY}
        self._check_file(listed[_ENTRY], "deployed: příští verze\n".encode(), context)
        self._check_file(listed["app"], b"1", context)
        assert set(_by_name(catalog, versions["v1.0.0-rc.1"])) == {"app"}, "it was attached to another version too"
        assert set(_by_tag(catalog)) == {"v1.0.0", "v1.0.0-rc.1"}, "attaching changed the versions"

    @needs("attaches")
    def test_attached_twice_is_no_error(self, store: CatalogStore, catalog: AttachingCatalog, context: TestContext) -> None:
        """A name that is there is replaced or left as it is, never mixed."""
        store.publish("v1.0.0", {"app": b"1"})
        version = _by_tag(catalog)["v1.0.0"]
        for content in ("first and longer", "second"):
            catalog.attach(version, _ENTRY, content)
        listed = _by_name(catalog, version)
        assert set(listed) == {"app", _ENTRY}
        assert self._download(listed[_ENTRY], context) in (b"first and longer", b"second")

    @needs("attaches")
    def test_attaching_to_nothing_is_told(self, unreachable: str, context: TestContext) -> None:
        """What could not be stored is a RegistryError, which dewy logs."""
        catalog: AttachingCatalog = self.open(unreachable, context)
        with fails_well(RegistryError, within=self.patience, secrets=context.secrets, or_http=True):
            catalog.attach(ListedVersion("v1.0.0"), _ENTRY, "x")

    # ---------------------------------------------------------------------------------------------------------- helpers

    def _check_file(self, file: ListedFile, content: bytes, context: TestContext) -> None:
        assert file.size in (None, len(content)), f"{file.name} has {len(content)} bytes, not {file.size}"
        assert file.digest is None or check_digest(file.digest, content), f"{file.digest} is not the digest of {file.name}"
        _check_time(file.modified, f"modified of {file.name}")
        assert self._download(file, context) == content, f"{file.url} does not lead to the bytes of {file.name}"

    def _download(self, file: ListedFile, context: TestContext) -> bytes:
        scheme = scheme_of(file.url)
        backend = next((backend for backend in self.artifacts if scheme in backend.schemes), None)
        assert backend, f"no artifact backend for {file.url}: name it in the class attribute 'artifacts'"
        to = WriteOnly()
        stated = backend.open(parse_url(file.url, backend.options, kind="artifact"), context).download(to.as_binary_io())
        check_stated(stated, to.content)
        return to.content


def _by_tag(catalog: Catalog) -> dict[str, ListedVersion]:
    return {version.tag: version for version in catalog.versions()}


def _by_name(catalog: Catalog, version: ListedVersion) -> dict[str, ListedFile]:
    listed = list(catalog.files(version))
    for file in listed:
        assert isinstance(file, ListedFile)
        assert file.name.strip("."), f"{file.name!r} is not a file's name"
        assert "/" not in file.name, f"{file.name!r} is not a file's name without a folder"
    names = [file.name for file in listed]
    assert len(names) == len(set(names)), f"files are listed twice: {sorted(names)}"
    return {file.name: file for file in listed}


def _check_time(moment: datetime | None, what: str) -> None:
    if moment is not None:
        assert moment.tzinfo is not None, f"{what} has no time zone: make it aware"
        assert moment < datetime.now(UTC) + timedelta(days=1), f"{what} is in the future: {moment}"


def _in_thread(call: Callable[[], T]) -> T:
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    assert results, "the call failed in another thread than the one that opened the backend"
    return results[0]
