"""Archives as release pipelines make them arrive whole, in every format, and as permissive as is harmless."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from archives import (
    BLOCK,
    EXECUTABLE,
    FORMATS,
    PLAIN_TARS,
    Entry,
    Sandbox,
    block,
    build,
    header,
    packed,
    padded,
    tarred,
    zipped,
)
from dewy.archive import Unpacked, unpack
from dewy.errors import HostError

NOISE = random.Random(7).randbytes(700_000)
RELEASE = [
    Entry("app", kind="directory", mode=0o755),
    Entry("app/bin/server", EXECUTABLE, mode=0o755),
    Entry("app/lib/libapp.so.1", NOISE, mode=0o644),
    Entry("app/lib/libapp.so", kind="symlink", target="libapp.so.1"),
    Entry("app/static/ünï cödé.txt", "grüße".encode()),
    Entry("app/static/empty"),
    Entry("app/logs", kind="directory", mode=0o755),
    Entry("server", kind="symlink", target="app/bin/server"),
    Entry("app/bin/lib", kind="symlink", target="../lib"),
    Entry("app/missing", kind="symlink", target="made/at/run/time"),
    Entry("app/" + "deep/" * 20 + "x" * 200, b"long path"),
]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def check_release(into: Path) -> None:
    for entry in RELEASE:
        path = into / entry.name
        if entry.kind == "symlink":
            assert str(path.readlink()) == entry.target
        elif entry.kind == "directory":
            assert path.is_dir()
            assert mode(path) == entry.mode
        else:
            assert path.read_bytes() == entry.content
            assert mode(path) == entry.mode
            assert path.stat().st_mtime == entry.mtime
            assert path.stat().st_uid == os.getuid()
    assert (into / "server").read_bytes() == EXECUTABLE
    assert subprocess.run([into / "app/bin/server"], capture_output=True, check=True).stdout == b"hello\n"


@pytest.mark.parametrize("form", FORMATS)
def test_a_release_arrives_whole_in_every_format(sandbox: Sandbox, form: str) -> None:
    with sandbox.untouched():
        unpacked = sandbox.unpack(build(form, RELEASE), f"app_linux_amd64.{form}")
    assert unpacked == Unpacked(len(RELEASE), sum(len(entry.content) for entry in RELEASE))
    check_release(sandbox.into)


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_of_tar_is_read(sandbox: Sandbox, dialect: int) -> None:
    entries = [entry for entry in RELEASE if len(entry.name) < 100 or dialect != tarfile.USTAR_FORMAT]
    entries.append(Entry(f"{'d' * 90}/{'f' * 90}", b"prefix"))
    sandbox.unpack(tarred(entries, dialect), "app.tar")
    for entry in entries:
        assert os.path.lexists(sandbox.into / entry.name)
    assert (sandbox.into / entries[-1].name).read_bytes() == b"prefix"


@pytest.mark.parametrize(
    ("flags", "form"), [("-czf", "tar.gz"), ("--zstd -cf", "tar.zst"), ("-cJf", "tar.xz"), ("-cf", "tar")]
)
def test_what_tar_itself_makes_arrives_whole(sandbox: Sandbox, tmp_path: Path, flags: str, form: str) -> None:
    """Also a hard link, a member for the directory itself, and a directory that nobody may write to."""
    if shutil.which("tar") is None or (form == "tar.zst" and shutil.which("zstd") is None):
        pytest.skip("needs tar and its compressors")
    sandbox.unpack(tarred(RELEASE), "app.tar", into=tmp_path / "from")
    os.link(tmp_path / "from/app/bin/server", tmp_path / "from/app/bin/again")
    (tmp_path / "from/app/logs").chmod(0o555)
    subprocess.run(["tar", *flags.split(), tmp_path / "made", "-C", tmp_path / "from", "."], check=True)
    with sandbox.untouched():
        unpack(tmp_path / "made", f"app.{form}", sandbox.into)
    assert (sandbox.into / "app/bin/again").samefile(sandbox.into / "app/bin/server")
    assert mode(sandbox.into / "app/logs") == 0o755
    (sandbox.into / "app/logs").chmod(0o755)
    check_release(sandbox.into)


@pytest.mark.parametrize("flags", [["-qry"], ["-qry", "-0"], ["-qry", "-fz"]])
def test_what_zip_itself_makes_arrives_whole(sandbox: Sandbox, tmp_path: Path, flags: list[str]) -> None:
    if shutil.which("zip") is None:
        pytest.skip("needs zip")
    sandbox.unpack(tarred(RELEASE), "app.tar", into=tmp_path / "from")
    subprocess.run(["zip", *flags, tmp_path / "made.zip", "."], cwd=tmp_path / "from", check=True)
    unpack(tmp_path / "made.zip", "app.zip", sandbox.into)
    check_release(sandbox.into)


class Pipe:
    """A file that can only be written to."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""


def test_a_zip_that_was_streamed_is_read(sandbox: Sandbox) -> None:
    """What cannot seek writes sizes after the content, and none in the member's own header."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", NOISE)
        with archive.open("b", "w", force_zip64=True) as file:
            file.write(NOISE * 2)
    assert sandbox.unpack(bytes(pipe.written), "app.zip").members == 2
    assert (sandbox.into / "b").read_bytes() == NOISE * 2


def test_a_git_archive_is_read(sandbox: Sandbox) -> None:
    """It begins with a global header that holds a comment."""
    comment = b"52 comment=0123456789abcdef0123456789abcdef01234567\n"
    data = block(b"pax_global_header", b"g", len(comment)) + padded(comment) + tarred([Entry("app/x", b"1")])
    assert sandbox.unpack(data, "app.tar") == Unpacked(1, 1)


def test_directories_of_ancient_tars_are_read(sandbox: Sandbox) -> None:
    sandbox.unpack(block(b"old/", b"\0") + block(b"old/file", b"\0", 1) + padded(b"x") + bytes(1024), "app.tar")
    assert (sandbox.into / "old/file").read_bytes() == b"x"


def test_large_numbers_of_gnu_tar_are_read(sandbox: Sandbox) -> None:
    """Binary where octal digits do not suffice."""
    binary = b"\x80" + (3).to_bytes(11, "big")
    sandbox.unpack(block(b"x", b"0", size_field=binary) + padded(b"abc") + bytes(1024), "app.tar")
    assert (sandbox.into / "x").read_bytes() == b"abc"


def test_a_sparse_file_of_bsdtar_is_read(sandbox: Sandbox) -> None:
    """macOS writes programs so when the file system keeps holes."""
    numbers = b"2\n1000\n5\n9000\n3\n"
    stored = padded(numbers) + b"first" + b"end"
    keys = {"major": "1", "minor": "0", "name": "bin/app", "realsize": "10000"}
    entry = Entry("GNUSparseFile.0/app", stored, mode=0o755, pax={f"GNU.sparse.{key}": value for key, value in keys.items()})
    sandbox.unpack(tarred([entry, Entry("after", b"x")]), "app.tar")
    content = (sandbox.into / "bin/app").read_bytes()
    assert content == bytes(1000) + b"first" + bytes(9000 - 1005) + b"end" + bytes(10000 - 9003)
    assert (sandbox.into / "after").read_bytes() == b"x"
    assert not (sandbox.into / "GNUSparseFile.0").exists()


@pytest.mark.parametrize("holes", [True, False])
def test_a_sparse_file_of_gnu_tar_is_read(sandbox: Sandbox, tmp_path: Path, holes: bool) -> None:
    if shutil.which("tar") is None:
        pytest.skip("needs tar")
    with (tmp_path / "sparse").open("wb") as file:
        for index in range(200 if holes else 1):
            file.seek(index * 100_000)
            file.write(b"data %d" % index)
        file.truncate(25_000_000)
    command = ["tar", "--posix", "--sparse", "-cf", tmp_path / "made.tar", "-C", tmp_path, "sparse"]
    subprocess.run(command, check=True)
    unpack(tmp_path / "made.tar", "app.tar", sandbox.into)
    assert (sandbox.into / "sparse").read_bytes() == (tmp_path / "sparse").read_bytes()


@pytest.mark.parametrize(
    ("form", "made"),
    [
        ("tar.gz", lambda data: b"".join(map(gzip.compress, data)) + bytes(100)),
        ("tar.bz2", lambda data: b"".join(map(bz2.compress, data))),
        ("tar.xz", lambda data: bytes(8).join(map(lzma.compress, data))),
        ("tar.zst", lambda data: struct.pack("<II", 0x184D2A50, 4) + b"skip" + b"".join(map(zstandard.compress, data))),
    ],
)
def test_compressed_streams_in_a_row_are_one(sandbox: Sandbox, form: str, made: object) -> None:
    """As parallel compressors write them; with padding, and zstd's frames that are to be skipped."""
    assert callable(made)
    data = tarred(RELEASE)
    third = len(data) // 3
    sandbox.unpack(made([data[:third], data[third : 2 * third], data[2 * third :]]), f"app.{form}")
    check_release(sandbox.into)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65535, 65536, 65537, 131072, 262144, 262145, 1 << 20])
@pytest.mark.parametrize("form", PLAIN_TARS)
def test_sizes_at_the_borders_of_buffers(sandbox: Sandbox, form: str, size: int) -> None:
    content = (NOISE + NOISE)[:size]
    sandbox.unpack(build(form, [Entry("x", content), Entry("zeros", bytes(size))]), f"app.{form}")
    assert (sandbox.into / "x").read_bytes() == content
    assert (sandbox.into / "zeros").read_bytes() == bytes(size)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("app_linux_amd64", "app_linux_amd64"),
        ("app-1.2.3", "app-1.2.3"),
        ("serve_linux_amd64.gz", "serve_linux_amd64"),
        ("tool.xz", "tool"),
        ("tool.bz2", "tool"),
        ("tool.zst", "tool"),
    ],
)
def test_a_bare_executable_is_made_executable(sandbox: Sandbox, name: str, made: str) -> None:
    content = EXECUTABLE + NOISE
    with sandbox.untouched():
        assert sandbox.unpack(packed(content, name), name) == Unpacked(1, len(content))
    assert (sandbox.into / made).read_bytes() == content
    assert mode(sandbox.into / made) == 0o755


@pytest.mark.parametrize("form", ["tar", "zip"])
@pytest.mark.parametrize(
    ("stated", "kept"),
    [(0o4755, 0o755), (0o2755, 0o755), (0o1755, 0o755), (0o777, 0o755), (0o666, 0o644), (0o200, 0o600), (0o500, 0o700)],
)
def test_harmful_permissions_are_stripped(sandbox: Sandbox, form: str, stated: int, kept: int) -> None:
    """No setuid, setgid, sticky bit, nothing for others to write; the owner can always read and write."""
    sandbox.unpack(build(form, [Entry("x", EXECUTABLE, mode=stated)]), f"app.{form}")
    assert mode(sandbox.into / "x") == kept


@pytest.mark.parametrize("form", ["tar", "zip"])
@pytest.mark.parametrize(
    ("stated", "kept"), [(0o000, 0o700), (0o555, 0o755), (0o7777, 0o755), (0o700, 0o700), (0o750, 0o750)]
)
def test_directories_stay_usable_by_their_owner(sandbox: Sandbox, form: str, stated: int, kept: int) -> None:
    """Also when the members of a directory come before itself."""
    entries = [Entry("d/x", b"1"), Entry("d", kind="directory", mode=stated), Entry("d/y", b"2")]
    if form == "zip" and stated == 0:
        kept = 0o755  # a zip without permissions
    sandbox.unpack(build(form, entries), f"app.{form}")
    assert mode(sandbox.into / "d") == kept
    assert (sandbox.into / "d/y").read_bytes() == b"2"


def test_the_mode_of_the_release_directory_is_not_the_archives(sandbox: Sandbox) -> None:
    sandbox.unpack(tarred([Entry("./", kind="directory", mode=0o777), Entry("./x", b"1")]), "app.tar")
    assert mode(sandbox.into) == 0o755


def test_the_umask_applies(sandbox: Sandbox) -> None:
    os.umask(0o077)
    sandbox.unpack(tarred([Entry("d", kind="directory", mode=0o755), Entry("d/x", EXECUTABLE, mode=0o755)]), "app.tar")
    assert [mode(sandbox.into / name) for name in (".", "d", "d/x")] == [0o700, 0o700, 0o700]


def test_a_hard_link_to_a_symlink_is_another_symlink(sandbox: Sandbox) -> None:
    """So tar stores a symlink that has two names."""
    entries = [Entry("x", b"1"), Entry("a", kind="symlink", target="x"), Entry("b", kind="hardlink", target="a")]
    sandbox.unpack(tarred(entries), "app.tar")
    assert str((sandbox.into / "b").readlink()) == "x"


def test_repeated_directories_are_no_duplicates(sandbox: Sandbox) -> None:
    entries = [Entry("./", kind="directory"), Entry("d", kind="directory"), Entry("d/x"), Entry("d", kind="directory")]
    assert sandbox.unpack(tarred(entries), "app.tar").members == 4


def test_a_zip_made_without_permissions_gets_usual_ones(sandbox: Sandbox) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("d/x")
        info.create_system = 0
        archive.writestr(info, b"1")
    sandbox.unpack(buffer.getvalue().replace(b"\x80\x01", b"\0\0"), "app.zip")
    assert mode(sandbox.into / "d/x") == 0o644


def test_odd_times_do_no_harm(sandbox: Sandbox) -> None:
    huge = [Entry(f"t{index}", pax={"mtime": text}) for index, text in enumerate(["9" * 30, "-5", "x", "1.5", "9" * 19])]
    sandbox.unpack(tarred(huge), "app.tar")
    assert int((sandbox.into / "t3").stat().st_mtime) == 1


def test_an_archive_of_thousands_of_files_is_unpacked(sandbox: Sandbox) -> None:
    """More than are written before the rest is counted; and progress is made all the while."""
    entries = [header(Entry(f"lib/d{i // 200}/f{i}", b"")) for i in range(6_000)]
    source = sandbox.root / "downloads/artifact"
    source.write_bytes(packed(b"".join(entries) + bytes(2 * BLOCK), "gz"))
    calls = 0

    def progress() -> None:
        nonlocal calls
        calls += 1

    assert unpack(source, "app.tar.gz", sandbox.into, progress=progress).members == 6_000
    assert calls >= 6_000
    assert len(list((sandbox.into / "lib/d29").iterdir())) == 200


def test_names_that_differ_by_case_are_two_files_where_the_host_says_so(sandbox: Sandbox) -> None:
    """As in terminfo. A file system that cannot tell them apart refuses the second: see the duplicates."""
    (sandbox.root / "Probe").touch()
    if (sandbox.root / "probe").exists():
        pytest.skip("this file system does not tell letter case apart")
    sandbox.unpack(zipped([Entry("App", b"1"), Entry("app", b"2"), Entry("E/x", b"3"), Entry("e/x", b"4")]), "app.zip")
    assert [(sandbox.into / name).read_bytes() for name in ("App", "app", "E/x", "e/x")] == [b"1", b"2", b"3", b"4"]


def test_what_is_there_already_is_left_alone(sandbox: Sandbox) -> None:
    sandbox.into.mkdir()
    (sandbox.into / "precious").write_text("data")
    with pytest.raises(HostError, match="File exists"):
        sandbox.unpack(tarred([Entry("x")]), "app.tar")
    assert (sandbox.into / "precious").read_text() == "data"
