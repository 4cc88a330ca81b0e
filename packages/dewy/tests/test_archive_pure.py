"""The pure rules: formats by name and by content, paths, link targets."""

from __future__ import annotations

import os.path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import EXECUTABLE, FORMATS, Entry, build
from dewy.archive import archive_format
from dewy.archive.formats import BLOCK, base_name, describe, looks_like
from dewy.archive.members import Refusal, quoted
from dewy.archive.paths import MAX_DEPTH, MAX_PATH, member_path, symlink_target

PARTS = st.sampled_from(["a", "b", "..", ".", "", "é", "x y", "…", "-", "~", "a..b", "..."])
PATHS = st.lists(PARTS, max_size=8).map("/".join)


@pytest.mark.parametrize(
    ("name", "form", "base"),
    [
        ("app_1.0_linux_amd64.tar.gz", "tar.gz", "app_1.0_linux_amd64"),
        ("app.tgz", "tar.gz", "app"),
        ("app.tar.bz2", "tar.bz2", "app"),
        ("app.tbz2", "tar.bz2", "app"),
        ("app.tar.xz", "tar.xz", "app"),
        ("app.txz", "tar.xz", "app"),
        ("app.tar.zst", "tar.zst", "app"),
        ("app.tzst", "tar.zst", "app"),
        ("app.tar", "tar", "app"),
        ("App.ZIP", "zip", "App"),
        ("APP.TAR.GZ", "tar.gz", "APP"),
        ("serve_1.9.8_linux_amd64.gz", "gz", "serve_1.9.8_linux_amd64"),
        ("tool.xz", "xz", "tool"),
        ("app-1.2.3", None, "app-1.2.3"),
        ("app_linux_amd64", None, "app_linux_amd64"),
        ("composer.phar", None, "composer.phar"),
        ("tar", None, "tar"),
        ("gzip", None, "gzip"),
    ],
)
def test_the_name_says_the_format(name: str, form: str | None, base: str) -> None:
    assert archive_format(name) == form
    assert base_name(name) == base


@pytest.mark.parametrize("form", FORMATS)
def test_archives_look_like_what_they_are(form: str) -> None:
    head = build(form, [Entry("a", b"x" * 1000)])[:BLOCK]
    assert looks_like(head) == form.removeprefix("tar.")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (EXECUTABLE, "a script"),
        (b"\x7fELF\2\1\1", "an ELF program"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "a Mach-O program"),
        (b"\xca\xfe\xba\xbe\0\0\0\2", "a Mach-O program"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", "data of no kind that dewy knows"),  # a Java class
        (b"MZ\x90\0", "a Windows program"),
        (b"\n <!DOCTYPE html><html>", "an HTML page"),
        (b"<HTML><body>404", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "an XML document"),
        (b'{"message": "Not Found"}', "a JSON document"),
        (b"Not Found\r\n", "plain text"),
        (b"\0\1\2\3", "data of no kind that dewy knows"),
        (b"!<arch>\ndebian-binary", "a Debian package or another ar archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    ],
)
def test_content_is_named_in_words(head: bytes, words: str) -> None:
    assert describe(looks_like(head)) == words


@given(st.binary(max_size=BLOCK))
def test_any_content_has_a_name(head: bytes) -> None:
    assert describe(looks_like(head))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a", ("a",)),
        ("./a//b/./c/", ("a", "b", "c")),
        (".", ()),
        ("./", ()),
        ("...", ("...",)),
        ("a..b/..c", ("a..b", "..c")),
        ("dir with space/é", ("dir with space", "é")),
    ],
)
def test_harmless_paths_become_their_parts(name: str, parts: tuple[str, ...]) -> None:
    assert member_path(name) == parts


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "an empty path"),
        ("/etc/passwd", "absolute path"),
        ("//etc", "absolute path"),
        ("..", "'..' in its path"),
        ("../x", "'..' in its path"),
        ("a/../../x", "'..' in its path"),
        ("a/..", "'..' in its path"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\x1b[31m", "control character"),
        ("a\x7f", "control character"),
        ("a\x9b31m", "control character"),
        ("a\udcff", "not UTF-8"),
        ("..\\..\\x", "backslash"),
        ("C:\\x", "backslash"),
        ("x" * 256, "more than 255 bytes"),
        ("é" * 128, "more than 255 bytes"),
        ("a/" * (MAX_PATH // 2) + "b", f"more than {MAX_PATH} bytes"),
        ("a/" * MAX_DEPTH + "b", f"more than {MAX_DEPTH} directories"),
    ],
)
def test_harmful_paths_are_refused(name: str, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        member_path(name)


@given(PATHS | st.text())
def test_what_is_accepted_stays_below(name: str) -> None:
    try:
        parts = member_path(name)
    except Refusal:
        return
    assert all(part not in ("", ".", "..") and "/" not in part and "\0" not in part for part in parts)
    assert os.path.normpath(f"/root/{name}") == "/".join(("/root", *parts))


@pytest.mark.parametrize(
    ("target", "depth"),
    [
        ("lib.so.1", 0),
        ("./lib.so.1", 0),
        ("../lib/x", 1),
        ("../..", 2),
        (".", 0),
        ("a/b", 0),
        (".././../x", 2),
        ("a/...", 0),
    ],
)
def test_links_inside_are_kept_as_written(target: str, depth: int) -> None:
    assert symlink_target(target, depth) == target


@pytest.mark.parametrize(
    ("target", "depth", "reason"),
    [
        ("", 0, "empty target"),
        ("/etc/passwd", 3, "absolute path /etc/passwd"),
        ("..", 0, "leads outside, to .."),
        ("../../x", 1, "leads outside"),
        ("./../.././x", 1, "leads outside"),
        ("a/..", 0, "through another link"),
        ("../a/../../x", 1, "through another link"),
        ("a\0b", 0, "control character"),
        ("..\\x", 1, "backslash"),
        ("a" * (MAX_PATH + 1), 0, f"more than {MAX_PATH} bytes"),
    ],
)
def test_links_that_could_lead_outside_are_refused(target: str, depth: int, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        symlink_target(target, depth)


@given(st.lists(st.sampled_from(["d", "e"]), max_size=4), PATHS | st.text())
def test_a_link_that_is_accepted_leads_inside(folder: list[str], target: str) -> None:
    try:
        symlink_target(target, len(folder))
    except Refusal:
        return
    resolved = os.path.normpath("/".join(("/root", *folder, target)))
    assert resolved == "/root" or resolved.startswith("/root/")


@given(st.text(max_size=300))
def test_a_quoted_name_is_fit_for_a_log(name: str) -> None:
    assert quoted(name).isprintable()
    assert len(quoted(name)) < 1000
