"""Catalogs that are wrong in one way each, and the tests of the kit that must say so."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from dewy.backends.file_catalog import FileCatalog
from dewy.backends.local import local_path
from dewy.backends.plugin import FILE_ARTIFACT, FILE_CATALOG
from dewy.errors import RegistryError
from dewy.testing import CatalogConformance
from dewy.types import CATALOG_OPTIONS, ListedFile, ListedVersion
from kit_mutants import declared, mutant


class Directory:
    """A directory of versions."""

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, path.as_uri()

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        (self.path / version).mkdir(exist_ok=True)
        for name, content in files.items():
            (self.path / version / name).write_bytes(content)

    def remove(self, version: str) -> None:
        shutil.rmtree(self.path / version)


class CatalogSuite(CatalogConformance):
    """The kit on a directory."""

    __test__ = False
    backend = FILE_CATALOG
    plugin = "dewy.backends.plugin"
    artifacts = (FILE_ARTIFACT,)
    attaches = True

    @staticmethod
    def build(broken: Any, url: Any, _context: object) -> Any:
        return broken(local_path(url, "registry"))

    @pytest.fixture
    def store(self, tmp_path: Path) -> Directory:
        (tmp_path / "store").mkdir()
        return Directory(tmp_path / "store")

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> str:
        return (tmp_path / "missing").as_uri()


# ----------------------------------------------------------------------------------------------------------------- catalogs


class PretendsNotToAttach(FileCatalog):
    """Its class says that it does not, and it does."""


class EmptyIsAnError(FileCatalog):
    def versions(self) -> list[ListedVersion]:
        versions = super().versions()
        if not versions:
            raise RegistryError("there is no version at all")
        return versions


class ListsTwice(FileCatalog):
    def versions(self) -> list[ListedVersion]:
        return super().versions() * 2

    def files(self, version: ListedVersion) -> list[ListedFile]:
        return super().files(version) * 2


class KnowsNoTimeZone(FileCatalog):
    def versions(self) -> list[ListedVersion]:
        naive = [version.published.replace(tzinfo=None) for version in super().versions() if version.published]
        return [replace(version, published=time) for version, time in zip(super().versions(), naive, strict=True)]


class ForgetsWhatItSaid(FileCatalog):
    asked = 0

    def versions(self) -> list[ListedVersion]:
        self.asked += 1
        return super().versions()[: None if self.asked % 2 else 1]


class RemembersTooLong(FileCatalog):
    known: list[ListedVersion] | None = None

    def versions(self) -> list[ListedVersion]:
        self.known = self.known or super().versions()
        return self.known


class ReadsOnePage(FileCatalog):
    def versions(self) -> list[ListedVersion]:
        return super().versions()[:100]

    def files(self, version: ListedVersion) -> list[ListedFile]:
        return super().files(version)[:100]


class TakesThePrefixForTheFolder(FileCatalog):
    def files(self, version: ListedVersion) -> list[ListedFile]:
        folders = [other for other in self.versions() if other.tag.startswith(version.tag)]
        return [file for folder in folders or [version] for file in FileCatalog.files(self, folder)]


class Guesses(FileCatalog):
    """States a digest that it made up."""

    def files(self, version: ListedVersion) -> list[ListedFile]:
        return [replace(file, digest="sha256:00") for file in super().files(version)]


class MistakesEmptyForUnknown(FileCatalog):
    def files(self, version: ListedVersion) -> list[ListedFile]:
        return [replace(file, size=file.size or 1) for file in super().files(version)]


class NamesTheFolderToo(FileCatalog):
    def files(self, version: ListedVersion) -> list[ListedFile]:
        return [replace(file, name=f"{version.tag}/{file.name}") for file in super().files(version)]


class DoesNotQuote(FileCatalog):
    def files(self, version: ListedVersion) -> list[ListedFile]:
        return [replace(file, url=unquote(file.url)) for file in super().files(version)]


class SameFingerprintAlways(FileCatalog):
    def files(self, version: ListedVersion) -> list[ListedFile]:
        return [replace(file, fingerprint=file.name) for file in super().files(version)]


class GoneIsACrash(FileCatalog):
    def files(self, version: ListedVersion) -> list[ListedFile]:
        return {other.tag: FileCatalog.files(self, other) for other in self.versions()}[version.tag]


class BoundToItsThread(FileCatalog):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._thread = threading.get_ident()

    def versions(self) -> list[ListedVersion]:
        if threading.get_ident() != self._thread:
            raise RuntimeError("made in another thread")
        return super().versions()


class DownIsEmpty(FileCatalog):
    def versions(self) -> list[ListedVersion]:
        with suppress(RegistryError):
            return super().versions()
        return []


class DownIsNoErrorOfDewys(FileCatalog):
    def versions(self) -> list[ListedVersion]:
        with suppress(RegistryError):
            return super().versions()
        raise FileNotFoundError(self._directory)


class AttachesEverywhere(FileCatalog):
    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        for other in self.versions():
            super().attach(other, name, content)


class Appends(FileCatalog):
    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        with (self._directory / version.tag / name).open("a", encoding="utf-8") as file:
            file.write(content)


class AttachesInSilence(FileCatalog):
    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        with suppress(RegistryError):
            super().attach(version, name, content)


MUTANTS = [
    mutant(CatalogSuite, PretendsNotToAttach, "test_is_a_catalog", attaches=False),
    declared(CatalogSuite, "NoOptionsOfCatalogs", "test_declares_the_options_of_catalogs", options=CATALOG_OPTIONS[:1]),
    mutant(CatalogSuite, EmptyIsAnError, "test_empty_store_lists_nothing"),
    mutant(CatalogSuite, ListsTwice, "test_lists_each_version_once", "test_files_are_what_is_said_of_them"),
    mutant(CatalogSuite, KnowsNoTimeZone, "test_lists_each_version_once"),
    mutant(CatalogSuite, ForgetsWhatItSaid, "test_lists_the_same_again"),
    mutant(CatalogSuite, RemembersTooLong, "test_sees_what_comes_and_goes"),
    mutant(CatalogSuite, ReadsOnePage, "test_lists_more_versions_than_a_page", "test_lists_more_files_than_a_page"),
    mutant(CatalogSuite, TakesThePrefixForTheFolder, "test_lists_the_files_of_that_version_only"),
    mutant(CatalogSuite, Guesses, "test_files_are_what_is_said_of_them"),
    mutant(CatalogSuite, MistakesEmptyForUnknown, "test_files_are_what_is_said_of_them"),
    mutant(CatalogSuite, NamesTheFolderToo, "test_files_are_what_is_said_of_them"),
    mutant(CatalogSuite, DoesNotQuote, "test_odd_names_and_versions_work"),
    mutant(CatalogSuite, SameFingerprintAlways, "test_other_bytes_are_noticed"),
    mutant(CatalogSuite, GoneIsACrash, "test_version_that_is_gone"),
    mutant(CatalogSuite, BoundToItsThread, "test_any_thread_may_ask"),
    mutant(CatalogSuite, DownIsEmpty, "test_unreachable_is_an_error"),
    mutant(CatalogSuite, DownIsNoErrorOfDewys, "test_unreachable_is_an_error"),
    mutant(CatalogSuite, AttachesEverywhere, "test_attached_is_listed_and_readable"),
    mutant(CatalogSuite, Appends, "test_attached_twice_is_no_error"),
    mutant(CatalogSuite, AttachesInSilence, "test_attaching_to_nothing_is_told"),
]
