"""The file registry and artifact: the conformance kit for each, and what only a directory can do wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dewy.backends.file_artifact import FileArtifact
from dewy.backends.file_catalog import FileCatalog
from dewy.backends.plugin import FILE_ARTIFACT, FILE_CACHE, FILE_CATALOG
from dewy.errors import ArtifactError, RegistryError, UsageError
from dewy.testing import ArtifactConformance, CatalogConformance, TestContext
from dewy.testing.streams import WriteOnly
from dewy.types import Backend, ListedVersion
from dewy.urls import parse_url
from hostile_disk import as_nobody, file_size_limit, names_in, umask


class Directory:
    """A directory of versions, as a store of the kit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        (self.path / version).mkdir(exist_ok=True)
        for name, content in files.items():
            (self.path / version / name).write_bytes(content)

    def remove(self, version: str) -> None:
        shutil.rmtree(self.path / version)

    def put(self, name: str, content: bytes) -> str:
        (self.path / name).write_bytes(content)
        return (self.path / name).as_uri()

    def missing(self) -> str:
        return (self.path / "missing.tar.gz").as_uri()


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "store")


class TestFileCatalog(CatalogConformance):
    """The kit."""

    backend = FILE_CATALOG
    plugin = "dewy.backends.plugin"
    artifacts = (FILE_ARTIFACT,)
    attaches = True

    @pytest.fixture
    def store(self, directory: Directory) -> Directory:
        return directory

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> str:
        return (tmp_path / "missing").as_uri()


class TestFileArtifact(ArtifactConformance):
    """The kit."""

    backend = FILE_ARTIFACT
    plugin = "dewy.backends.plugin"
    remote = False

    @pytest.fixture
    def store(self, directory: Directory) -> Directory:
        return directory


# -------------------------------------------------------------------------------------------------------------- file:// URLs


@pytest.mark.parametrize("backend", [FILE_CATALOG, FILE_ARTIFACT, FILE_CACHE], ids=["registry", "artifact", "cache"])
@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("file://releases/myapp", "has a host"),
        ("file://./releases", "has a host"),
        ("file://~/releases", "has a host"),
        ("file://nas:2049/releases", "has a host"),
        ("file://me@/releases", "has a host"),
        ("file:///", "names no path"),
        ("file:///~/releases", "only a shell"),
        ("file:///srv/%00", "NUL"),
        ("file:///srv/c#/releases", "%23"),
    ],
)
def test_a_url_that_names_no_absolute_path_is_refused_with_the_right_form(
    backend: Backend[object], url: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=complaint) as raised:
        backend.open(parse_url(url, backend.options), TestContext(tmp_path))
    assert complaint == "%23" or "file:///srv/releases" in raised.value.hint


def test_the_path_is_decoded_and_localhost_is_no_host(tmp_path: Path) -> None:
    for name in ("with blank", "přílohy", "50% off", "a?b#c"):
        Directory(tmp_path / name).publish("v1.0.0", {"app": b"x"})
        url = (tmp_path / name).as_uri().replace("file:///", "file://localhost/")
        catalog = FILE_CATALOG.open(parse_url(url, FILE_CATALOG.options), TestContext(tmp_path))
        assert [version.tag for version in catalog.versions()] == ["v1.0.0"]


# ------------------------------------------------------------------------------------------------------------- the registry


def test_hidden_unfinished_and_unreadable_names_are_passed_over(directory: Directory) -> None:
    directory.publish("v1.0.0", {"app": b"x", ".app.Xy12": b"half", "app.part": b"half", "app.tmp": b"half"})
    (directory.path / ".git").mkdir()
    (directory.path / "README").write_text("not a version")
    (directory.path / "broken").symlink_to("nowhere")
    (directory.path / "loop").symlink_to("loop")
    (directory.path / os.fsdecode(b"v1.0.0-\xff")).mkdir()
    inside = directory.path / "v1.0.0"
    (inside / os.fsdecode(b"app-\xff")).write_bytes(b"x")
    (inside / "folder").mkdir()
    (inside / "broken").symlink_to("nowhere")
    os.mkfifo(inside / "fifo")
    catalog = FileCatalog(directory.path)
    versions = catalog.versions()
    assert [version.tag for version in versions] == ["v1.0.0"]
    assert [file.name for file in catalog.files(versions[0])] == ["app"]


def test_links_to_versions_and_files_are_followed(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "artifact").write_bytes(b"bytes")
    (tmp_path / "real" / "app").symlink_to(tmp_path / "artifact")
    (directory.path / "v1.0.0").symlink_to(tmp_path / "real")
    catalog = FileCatalog(directory.path)
    (file,) = catalog.files(catalog.versions()[0])
    assert (file.name, file.size) == ("app", 5)


def test_an_empty_version_directory_counts_as_published_when_it_was_made(directory: Directory) -> None:
    directory.publish("v1.0.0", {})
    os.utime(directory.path / "v1.0.0", (1_700_000_000, 1_700_000_000))
    assert FileCatalog(directory.path).versions() == [ListedVersion("v1.0.0", datetime.fromtimestamp(1_700_000_000, UTC))]


def test_the_fingerprint_changes_with_a_rewrite_of_the_same_size_and_not_with_a_move(directory: Directory) -> None:
    directory.publish("v1.0.0", {"app": b"first"})
    catalog, version, path = FileCatalog(directory.path), ListedVersion("v1.0.0"), directory.path / "v1.0.0" / "app"
    (before,) = catalog.files(version)
    shutil.copy2(path, path.with_name("copy.part"))
    path.with_name("copy.part").replace(path)
    assert catalog.files(version) == [before], "another inode with the same bytes and time is the same file"
    path.write_bytes(b"other")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert catalog.files(version)[0].fingerprint != before.fingerprint


@pytest.mark.parametrize(("made", "reason"), [(False, "No such file or directory"), (True, "Not a directory")])
def test_a_registry_that_is_no_directory_says_what_and_why(tmp_path: Path, made: bool, reason: str) -> None:
    path = tmp_path / "releases"
    if made:
        path.write_bytes(b"")
    with pytest.raises(RegistryError, match=reason) as raised:
        FileCatalog(path).versions()
    assert str(path) in raised.value.message
    assert "correct the url" in raised.value.hint.lower()


def test_a_registry_that_may_not_be_read_says_so_and_who_needs_access() -> None:
    with as_nobody(0o000) as path, pytest.raises(RegistryError, match="Permission denied") as raised:
        FileCatalog(path).versions()
    assert raised.value.hint == "Give the user that runs dewy access to it"


@pytest.mark.parametrize("name", ["..", "a/b", "", "a\0b", "."])
def test_nothing_is_read_or_written_outside_the_directory(directory: Directory, name: str) -> None:
    directory.publish("v1.0.0", {"app": b"x"})
    catalog = FileCatalog(directory.path)
    with pytest.raises(RegistryError, match="not the name"):
        catalog.files(ListedVersion(name))
    with pytest.raises(RegistryError, match="not the name"):
        catalog.attach(ListedVersion("v1.0.0"), name, "text")


def test_an_audit_entry_is_written_whole_is_readable_by_others_and_leaves_an_existing_one(directory: Directory) -> None:
    directory.publish("v1.0.0", {"app": b"x"})
    catalog, version = FileCatalog(directory.path), ListedVersion("v1.0.0")
    catalog.attach(version, "shipped.txt", "first")
    catalog.attach(version, "shipped.txt", "second")
    entry = directory.path / "v1.0.0" / "shipped.txt"
    assert entry.read_text() == "first"
    assert entry.stat().st_mode & 0o777 == 0o666 & ~umask()
    assert names_in(directory.path / "v1.0.0") == ["app", "shipped.txt"]


def test_an_audit_entry_does_not_make_its_version_a_newer_one(directory: Directory) -> None:
    directory.publish("v1.0.0", {"app": b"x"})
    os.utime(directory.path / "v1.0.0", (1_700_000_000, 1_700_000_000))
    catalog = FileCatalog(directory.path)
    before = catalog.versions()
    catalog.attach(before[0], "shipped.txt", "text")
    assert catalog.versions() == before


def test_an_audit_entry_for_which_there_is_no_space_is_told_and_leaves_nothing(directory: Directory) -> None:
    directory.publish("v1.0.0", {"app": b"x"})
    with file_size_limit(10), pytest.raises(RegistryError, match="cannot be written: File too large"):
        FileCatalog(directory.path).attach(ListedVersion("v1.0.0"), "shipped.txt", "x" * 1000)
    assert names_in(directory.path / "v1.0.0") == ["app"]


def test_thousands_of_versions_are_listed_quickly(directory: Directory) -> None:
    for number in range(3_000):
        (directory.path / f"v1.{number}.0").mkdir()
    started = time.process_time()
    assert len(FileCatalog(directory.path).versions()) == 3_000
    assert time.process_time() - started < 1.0


# ------------------------------------------------------------------------------------------------------------- the artifact


def make_directory(path: Path) -> None:
    path.mkdir()


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [make_directory, os.mkfifo, make_device], ids=["directory", "fifo", "device"])
def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "artifact")
    with pytest.raises(ArtifactError, match="artifact is not a plain file"):
        FileArtifact(tmp_path / "artifact").download(WriteOnly().as_binary_io())


@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "artifact"
    path.write_bytes(bytes(5 << 20))

    class Changing(WriteOnly):
        def write(self, data: object, /) -> int:
            if not self.size:
                with path.open("r+b") as file:
                    file.truncate({"grows": 6 << 20, "shrinks": 2 << 20, "is rewritten": 5 << 20}[change])
                    file.write(b"x")
            return super().write(data)

    with pytest.raises(ArtifactError, match="changed while it was read") as raised:
        FileArtifact(path).download(Changing().as_binary_io())
    assert "rename" in raised.value.hint


def test_a_file_that_is_replaced_by_a_rename_while_it_is_read_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "artifact"
    path.write_bytes(b"a" * (3 << 20))
    (tmp_path / "new").write_bytes(b"b" * (3 << 20))

    class Replacing(WriteOnly):
        def write(self, data: object, /) -> int:
            if not self.size:
                (tmp_path / "new").replace(path)
            return super().write(data)

    to = Replacing()
    assert FileArtifact(path).download(to.as_binary_io()).size == 3 << 20
    assert to.content == b"a" * (3 << 20)


def test_an_error_of_the_receiving_side_comes_out_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "artifact").write_bytes(b"x" * 100)
    with pytest.raises(OSError, match="No space left") as raised:
        FileArtifact(tmp_path / "artifact").download(WriteOnly(fails_after=10).as_binary_io())
    assert not isinstance(raised.value, ArtifactError)
