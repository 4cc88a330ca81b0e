"""Hostile archives: each is refused by name, member and reason, leaves no trace, and touches nothing outside."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archives import BLOCK, EXECUTABLE, Entry, Sandbox, block, build, header, packed, padded, patched, tarred, zipped
from dewy.errors import ArchiveError

GOOD = Entry("app/server", EXECUTABLE, mode=0o755)
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def link(name: str, target: str) -> Entry:
    return Entry(name, kind="symlink", target=target)


# ----------------------------------------------------------------------------------------- the same in every kind of archive

MEMBERS = {
    "absolute path": ([Entry("/etc/evil", b"x")], "'/etc/evil'", "absolute path"),
    "up and out": ([Entry("../../outside/x", b"x")], "'../../outside/x'", "'..' in its path"),
    "up in the middle": ([Entry("a/../../x", b"x")], "'a/../../x'", "'..' in its path"),
    "directory outside": ([Entry("../evil", kind="directory")], "'../evil", "'..' in its path"),
    "symlink outside": ([link("a/evil", "../../old")], "'a/evil'", "a symlink that leads outside, to ../../old"),
    "absolute symlink": ([link("evil", "/etc/passwd")], "'evil'", "outside, to the absolute path /etc/passwd"),
    "symlink up after a name": ([link("evil", "a/../../x")], "'evil'", "could lead outside through another link"),
    "symlink to nothing": ([Entry("x"), link("evil", "")], "'evil'", "empty target"),
    "write through a symlink": (
        [link("lib", "."), Entry("lib/x", b"x")],
        "'lib/x'",
        "would be written through the symlink 'lib'",
    ),
    "write through a symlink of a symlink": (
        [Entry("d", kind="directory"), link("a", "d"), link("b", "a"), Entry("b/x", b"x")],
        "'b/x'",
        "through the symlink 'b'",
    ),
    "symlink below a symlink": ([link("a", "b"), link("a/x", "c")], "'a/x'", "through the symlink 'a'"),
    "directory over a symlink": ([link("a", "b"), Entry("a", kind="directory")], "'a", "occurs twice"),
    "file over a symlink": ([link("a", "b"), Entry("a", b"x")], "'a'", "occurs twice"),
    "symlink over a file": ([Entry("a", b"x"), link("a", "b")], "'a'", "occurs twice"),
    "symlink over a symlink": ([link("a", "b"), link("a", "c")], "'a'", "occurs twice"),
    "symlink over a directory": ([Entry("a/x", b"x"), link("a", "b")], "'a'", "occurs twice"),
    "the same file twice": ([Entry("a", b"x"), Entry("a", b"y")], "'a'", "occurs twice"),
    "the same file in other words": ([Entry("d/a", b"x"), Entry("./d//a", b"y")], "'./d//a'", "occurs twice"),
    "file over a directory": ([Entry("a/x", b"x"), Entry("a", b"y")], "'a'", "occurs twice"),
    "directory over a file": ([Entry("a", b"x"), Entry("a", kind="directory")], "'a", "below 'a', which is no directory"),
    "below a file": ([Entry("a", b"x"), Entry("a/b", b"y")], "'a/b'", "below 'a', which is no directory"),
    "character device": ([Entry("null", kind="character device")], "'null'", "is a device"),
    "block device": ([Entry("sda", kind="block device")], "'sda'", "is a device"),
    "named pipe": ([Entry("pipe", kind="fifo")], "'pipe'", "named pipe"),
    "control characters": ([Entry("a\x1b[2J", b"x")], r"'a\x1b[2J'", "control character"),
    "line end": ([Entry("a\nb", b"x")], r"'a\nb'", "control character"),
    "backslashes": ([Entry("..\\..\\x", b"x")], r"'..\\..\\x'", "a backslash"),
    "name too long": ([Entry("x" * 300, b"x")], "'xxx", "more than 255 bytes"),
    "path too long": ([Entry("/".join(["x" * 100] * 12), b"x")], "more than 1024 bytes"),
    "too deep": ([Entry("d/" * 200 + "x", b"x")], "'d/d/d/", "more than 128 directories deep"),
    "a file in the root's place": ([Entry("a"), Entry(".", b"x")], "'.'", "names the release directory itself"),
}


@pytest.mark.parametrize("form", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize("kind", MEMBERS)
def test_hostile_member_is_refused(sandbox: Sandbox, form: str, kind: str) -> None:
    entries, *expected = MEMBERS[kind]
    assert isinstance(entries, list)
    sandbox.refuses(build(form, [GOOD, *entries, Entry("after", b"x")]), f"app.{form}", *map(str, expected))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("../../outside/etc/passwd", "'..' in its path"),
        ("/etc/passwd", "absolute path"),
        ("nothing", "no file that comes before it"),
        ("evil", "no file that comes before it"),
        ("app", "no file that comes before it"),
        (".", "no file that comes before it"),
        ("app/server/x", "no file that comes before it"),
        ("app/nothing/x", "no file that comes before it"),
        ("later", "no file that comes before it"),
        ("lib/server", "no file that comes before it"),
    ],
)
def test_hard_link_to_what_is_no_file_inside_is_refused(sandbox: Sandbox, target: str, reason: str) -> None:
    """Also by way of a symlink, which does not exist yet when hard links are made."""
    entries = [GOOD, link("lib", "app"), Entry("evil", kind="hardlink", target=target), Entry("later", b"x")]
    sandbox.refuses(tarred(entries), "app.tar", "'evil'", f"hard link to '{target}'", reason)


def test_hard_link_over_a_file_is_refused(sandbox: Sandbox) -> None:
    entries = [GOOD, Entry("a", b"x"), Entry("a", kind="hardlink", target="app/server")]
    sandbox.refuses(tarred(entries), "app.tar", "'a'", "occurs twice")


def test_a_symlink_made_through_a_hard_link_is_checked_where_it_is(sandbox: Sandbox) -> None:
    """Its target is inside seen from the first place, and outside from the second."""
    entries = [link("a/b/c", "../../x"), Entry("d", kind="hardlink", target="a/b/c")]
    sandbox.refuses(tarred(entries), "app.tar", "'d'", "leads outside")


def test_setuid_bits_are_made_harmless(sandbox: Sandbox) -> None:
    with sandbox.untouched():
        sandbox.unpack(tarred([Entry("su", EXECUTABLE, mode=0o6755)]), "app.tar")
    assert not (sandbox.into / "su").stat().st_mode & (stat.S_ISUID | stat.S_ISGID)


def test_too_many_symlinks_for_memory_are_refused(sandbox: Sandbox) -> None:
    target = "/".join(["t" * 200] * 5)
    one = header(link("/".join(["n" * 200] * 4) + "/000000", target))
    headers = [one.replace(b"/000000", b"/%06d" % index) for index in range(10_000)]
    sandbox.refuses(packed(b"".join(headers) + bytes(1024), "tar.gz"), "app.tar.gz", "is one symlink too many")


# ------------------------------------------------------------------------------------------------------- what is tar's alone


def pax(records: bytes) -> bytes:
    return block(b"pax", b"x", len(records)) + padded(records)


TARS = {
    "name that is not UTF-8": ([block(b"caf\xe9", b"0")], r"'caf\udce9'", "a path that is not UTF-8"),
    "NUL in a long name": ([pax(b"12 path=a\0b\n"), block(b"x", b"0")], r"'a\x00b'", "control character"),
    "empty name": ([block(b"", b"0")], "''", "an empty path"),
    "unknown kind": ([block(b"x", b"Z")], "'x'", "of the unknown kind b'Z'"),
    "another volume": ([block(b"x", b"M")], "'x'", "of the unknown kind b'M'"),
    "old sparse file": ([block(b"x", b"S")], "'x'", "a sparse file in GNU tar's old form"),
    "negative size": ([block(b"x", b"0", size_field=b"\xff" * 12)], "where a header should be there is none"),
    "size in no digits": ([block(b"x", b"0", size_field=b"-0000000001\0")], "where a header should be there is none"),
    "size in odd digits": ([block(b"x", b"0", size_field=b"00000000009\0")], "where a header should be there is none"),
    "size beyond the archive": ([block(b"x", b"0", 1 << 20), b"short"], "'x'", "cut off: the archive ends inside it"),
    "size of a terabyte": (
        [block(b"x", b"0", size_field=b"\x80" + (1 << 50).to_bytes(11, "big"))],
        "'x'",
        "beyond the limit",
    ),
    "header with a wrong checksum": ([block(b"x", b"0").replace(b"x", b"y", 1)], "where a header should be there is none"),
    "no header": ([b"\x01" * BLOCK], "where a header should be there is none"),
    "giant extended header": ([block(b"p", b"x", 1 << 32)], "an extended header of 4294967296 bytes"),
    "giant long name": ([block(b"p", b"L", 1 << 32)], "an extended header of 4294967296 bytes"),
    "giant global header": ([block(b"p", b"g", 1 << 32)], "an extended header of 4294967296 bytes"),
    "long name twice": (
        [block(b"p", b"L", 2), padded(b"a\0"), pax(b"10 path=b\n"), block(b"x", b"0")],
        "states path of one",
    ),
    "extended header of nothing": ([pax(b"10 path=b\n")], "belongs to no member"),
    "records without length": ([pax(b"path=b\n"), block(b"x", b"0")], "extended header cannot be read"),
    "records with a wrong length": ([pax(b"99 path=b\n"), block(b"x", b"0")], "extended header cannot be read"),
    "records of no length": ([pax(b"0 path=b\n"), block(b"x", b"0")], "extended header cannot be read"),
    "records without a line end": ([pax(b"10 path=bc"), block(b"x", b"0")], "extended header cannot be read"),
    "records of endless digits": ([pax(b"9" * 5000), block(b"x", b"0")], "extended header cannot be read"),
    "size in no number": ([pax(b"11 size=-1\n"), block(b"x", b"0")], "'x'", "a size that cannot be read"),
    "size in other digits": ([pax("13 size=٣\n".encode()), block(b"x", b"0")], "extended header cannot be read"),
    "a path for all": ([block(b"g", b"g", 10), padded(b"10 path=b\n")], "states path for all its members"),
}


@pytest.mark.parametrize("kind", TARS)
def test_hostile_tar_is_refused(sandbox: Sandbox, kind: str) -> None:
    blocks, *expected = TARS[kind]
    assert isinstance(blocks, list)
    data = tarred([GOOD])[: -2 * BLOCK] + b"".join(blocks) + bytes(2 * BLOCK)
    sandbox.refuses(data, "app.tar", *map(str, expected))


def test_the_member_before_the_damage_is_named(sandbox: Sandbox) -> None:
    data = tarred([GOOD])[: -2 * BLOCK] + b"\x01" * BLOCK + bytes(2 * BLOCK)
    sandbox.refuses(data, "app.tar", "its member 'app/server' is followed by damaged data")


@pytest.mark.parametrize(
    ("records", "content", "reason"),
    [
        ({"major": "0", "minor": "1", "map": "0,1"}, b"x", "a sparse file in an old form"),
        ({"major": "1", "minor": "0", "realsize": "x"}, b"x", "a size that cannot be read"),
        ({"major": "1", "minor": "0"}, b"x", "a size that cannot be read"),
        ({"major": "1", "minor": "0", "realsize": str(1 << 60)}, b"0\n", "beyond the limit"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"x" * 2000, "a sparse map that cannot be read"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"-1\n", "a sparse map that cannot be read"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"9999999\n", "a sparse map that cannot be read"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"1\n5\n9\n", "a sparse map that cannot be right"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"2\n5\n0\n4\n0\n", "a sparse map that cannot be right"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"1\n0\n5\n", "a sparse map that does not fit"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"1\n0\n1\n" + bytes(600), "a sparse map that does not fit"),
        ({"major": "1", "minor": "0", "realsize": "9"}, b"", "a sparse map that cannot be read"),
    ],
)
def test_hostile_sparse_file_is_refused(sandbox: Sandbox, records: dict[str, str], content: bytes, reason: str) -> None:
    keys = {f"GNU.sparse.{key}": value for key, value in records.items()}
    stored = padded(content) if len(content) < BLOCK else content
    sandbox.refuses(tarred([GOOD, Entry("sparse", stored, pax=keys)]), "app.tar", "'sparse'", reason)


def test_a_second_archive_after_the_end_is_refused(sandbox: Sandbox) -> None:
    """One reader would see it, another would not."""
    sandbox.refuses(tarred([GOOD]) + tarred([Entry("hidden", b"x")]), "app.tar", "after its end-of-archive mark")


def test_an_extended_header_below_an_extended_header_without_end_is_refused(sandbox: Sandbox) -> None:
    """A hundred thousand of them are neither recursion nor memory."""
    data = block(b"p", b"x") * 100_000 + bytes(1024)
    sandbox.refuses(packed(data, "tar.gz"), "app.tar.gz", "is empty: it has no members")


# ------------------------------------------------------------------------------------------------------- what is zip's alone

TWO = zipped([GOOD, Entry("evil", b"content" * 100)])

ZIPS = {
    "encrypted": (patched(TWO, (CENTRAL, 8, b"\x01")), "'evil'", "is encrypted"),
    "strongly encrypted": (patched(TWO, (CENTRAL, 8, b"\x41")), "'evil'", "is encrypted"),
    "encrypted in its own header": (patched(TWO, (LOCAL, 6, b"\x01")), "'evil'", "two headers that do not agree on how"),
    "a patch": (patched(TWO, (CENTRAL, 8, b"\x20")), "'evil'", "is a patch"),
    "bzip2": (zipped([GOOD, Entry("evil", b"x" * 999)], zipfile.ZIP_BZIP2), "compressed with bzip2", "with deflate"),
    "LZMA": (zipped([GOOD, Entry("evil", b"x" * 999)], zipfile.ZIP_LZMA), "compressed with LZMA", "with deflate"),
    "unknown compression": (patched(TWO, (CENTRAL, 10, b"\x63\x63")), "'evil'", "compressed with method 25443"),
    "another name": (patched(TWO, (LOCAL, 30, b"live")), "'evil'", "two headers that do not agree on its name"),
    "another compression": (patched(TWO, (LOCAL, 8, b"\0")), "'evil'", "two headers that do not agree on how"),
    "another size": (patched(TWO, (LOCAL, 22, b"\1")), "'evil'", "two headers that do not agree on its size"),
    "another checksum": (patched(TWO, (LOCAL, 14, b"\1\1")), "'evil'", "two headers that do not agree on its size or"),
    "wrong checksum": (patched(TWO, (LOCAL, 14, b"\1\1"), (CENTRAL, 16, b"\1\1")), "'evil'", "its checksum does not match"),
    "more than stated": (
        patched(TWO, (LOCAL, 22, b"\1\0"), (CENTRAL, 24, b"\1\0")),
        "'evil'",
        "the 1 bytes that are stated",
    ),
    "less than stated": (patched(TWO, (LOCAL, 22, b"\1\5"), (CENTRAL, 24, b"\1\5")), "'evil'", "the 1281 bytes that are"),
    "overlap": (patched(TWO, (CENTRAL, 42, struct.pack("<I", 10))), "'evil'", "overlaps another member"),
    "the same content twice": (patched(TWO, (CENTRAL, 42, bytes(4))), "'evil'", "overlaps another member"),
    "content beyond the end": (
        patched(TWO, (LOCAL, 18, b"\xff\xff"), (CENTRAL, 20, b"\xff\xff")),
        "'evil'",
        "reaches into the central directory",
    ),
    "no header at its place": (patched(TWO, (CENTRAL, 42, b"\xff\xff")), "'evil'", "a header is not where it should be"),
    "no 64 bit size": (patched(TWO, (CENTRAL, 24, b"\xff" * 4)), "'evil'", "has no size in its extra fields"),
    "another disk": (patched(TWO, (CENTRAL, 34, b"\1")), "'evil'", "another file of a split archive"),
    "one of several files": (patched(TWO, (END, 4, b"\1")), "one part of an archive in several files"),
    "fewer members than stated": (patched(TWO, (END, 10, b"\3")), "central directory does not end where it should"),
    "more members than stated": (patched(TWO, (END, 10, b"\1")), "has more members than the 1 it states"),
    "no 64 bit directory": (patched(TWO, (END, 10, b"\xff\xff")), "a header is not where it should be"),
    "something before it": (b"#!/bin/sh\n" + TWO, "is named like a zip archive, but looks like a script"),
    "an archive before it": (TWO + TWO, "has something before its beginning"),
    "something after it": (TWO + b"x", "has something after its end"),
    "no end": (TWO[:-22], "no central directory at its end"),
    "giant symlink": (
        zipped([GOOD, link("evil", "x" * 5000)]),
        "'evil'",
        "is a symlink with a target of more than 1024 bytes",
    ),
    "damaged symlink": (
        patched(zipped([link("evil", "xyz")]), (LOCAL, 14, b"\1\1"), (CENTRAL, 16, b"\1\1")),
        "'evil'",
        "is damaged",
    ),
    "socket": (zipped([GOOD, Entry("evil", kind="socket")]), "'evil'", "named pipe or socket"),
    "name that is not UTF-8": (TWO.replace(b"evil", b"\xe9vil"), r"'\udce9vil'", "a path that is not UTF-8"),
    "NUL in a name": (TWO.replace(b"evil", b"ev\0l"), r"'ev\x00l'", "control character"),
    "nothing in it": (zipped([]), "is empty"),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_hostile_zip_is_refused(sandbox: Sandbox, kind: str) -> None:
    data, *expected = ZIPS[kind]
    assert isinstance(data, bytes)
    sandbox.refuses(data, "app.zip", *map(str, expected))


def test_giant_zip_names_are_refused_before_they_are_kept(sandbox: Sandbox) -> None:
    data = zipped([Entry("x" * 60_000, b"x")])
    sandbox.refuses(data, "app.zip", "has a member with a path of more than 1024 bytes")


# --------------------------------------------------------------------------------------------- not what the name promises

PAGE = b"<!doctype html><html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("app.tar.gz", PAGE, "is named like gzip data, but looks like an HTML page"),
        ("app.tar.gz", tarred([GOOD]), "is named like gzip data, but looks like a tar archive"),
        ("app.tar.gz", zipped([GOOD]), "is named like gzip data, but looks like a zip archive"),
        ("app.tar.gz", packed(EXECUTABLE, "gz"), "is named like a tar archive, but looks like a script"),
        ("app.tar.gz", packed(zipped([GOOD]), "gz"), "is named like a tar archive, but looks like a zip archive"),
        ("app.tar.xz", packed(tarred([GOOD]), "gz"), "is named like xz data, but looks like gzip data"),
        ("app.tar.bz2", packed(tarred([GOOD]), "zst"), "is named like bzip2 data, but looks like zstd data"),
        ("app.tar.zst", packed(tarred([GOOD]), "bz2"), "is named like zstd data, but looks like bzip2 data"),
        ("app.tar", packed(tarred([GOOD]), "gz"), "is named like a tar archive, but looks like gzip data"),
        ("app.zip", tarred([GOOD]), "is named like a zip archive, but looks like a tar archive"),
        ("app.zip", EXECUTABLE, "is named like a zip archive, but looks like a script"),
        ("app.zip", b"", "is named like a zip archive, but looks like an empty file"),
        ("app.tar", b"", "is named like a tar archive, but looks like an empty file"),
        ("app.tar", bytes(10240), "is empty: it has no members"),
        ("app.gz", packed(tarred([GOOD]), "gz"), "nor an executable by its content, but looks like a tar archive"),
        ("app", PAGE, "nor an executable by its content, but looks like an HTML page"),
        ("app", b"", "but looks like an empty file"),
        ("app", b"MZ\x90\0", "but looks like a Windows program"),
        ("app", zipped([GOOD]), "but looks like a zip archive"),
        ("app.exe", b"MZ\x90\0", "but looks like a Windows program"),
        ("app.deb", b"!<arch>\ndebian-binary", "but looks like a Debian package"),
        ("app.7z", b"7z\xbc\xaf\x27\x1c", "but looks like a 7z archive"),
        ("app", b'{"message": "Not Found"}', "but looks like a JSON document"),
        ("app", b"not found", "but looks like plain text"),
    ],
)
def test_content_that_is_not_what_the_name_promises_is_refused(
    sandbox: Sandbox, name: str, data: bytes, reason: str
) -> None:
    sandbox.refuses(data, name, reason)


@pytest.mark.parametrize("name", ["../evil", "a/b", "/evil", "..", "a\\b", "x" * 300])
def test_a_bare_executable_cannot_choose_its_place(sandbox: Sandbox, name: str) -> None:
    sandbox.refuses(EXECUTABLE, name)


# ----------------------------------------------------------------------------------------------------------- anything at all

NAMES = st.lists(st.sampled_from(["a", "A", "b", "..", ".", "", "x", "é", "é"]), min_size=1, max_size=4).map("/".join)
ENTRIES = st.lists(
    st.builds(
        Entry,
        NAMES | st.just("/" + "a") | st.sampled_from(["a/b", "a", "b/a"]),
        st.binary(max_size=20),
        st.sampled_from(["file", "directory", "symlink", "hardlink", "symlink", "fifo"]),
        st.integers(0, 0o7777),
        NAMES | st.sampled_from(["/etc", "../x", "a/../../x", "a", "b/a"]),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=ENTRIES, form=st.sampled_from(["tar", "zip"]), dialect=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
)
def test_no_members_touch_anything_outside(sandbox: Sandbox, entries: list[Entry], form: str, dialect: int) -> None:
    """Whatever names and links: all is inside and resolves to inside, or nothing is there."""
    in_zip = [entry for entry in entries if entry.kind != "hardlink"]
    data = zipped(in_zip) if form == "zip" else tarred(entries, dialect)
    with sandbox.untouched():
        try:
            sandbox.unpack(data, f"app.{form}")
        except ArchiveError:
            assert not sandbox.into.exists()
            return
    root = sandbox.into.resolve()
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(folder, name)
            assert not path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX)
            assert path.is_symlink() or not path.lstat().st_mode & 0o022
            real = Path(os.path.realpath(path))
            assert real == root or root in real.parents
    shutil.rmtree(root)
