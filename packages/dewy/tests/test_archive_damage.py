"""Damaged archives: never half a release, never another error than one that says so."""

from __future__ import annotations

import errno
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archives import BLOCK, EXECUTABLE, FORMATS, PLAIN_TARS, Entry, Sandbox, build, listing, packed, tarred
from dewy.archive import unpack
from dewy.errors import ArchiveError, HostError

NOISE = random.Random(3).randbytes(150)
RELEASE = [
    Entry("bin", kind="directory", mode=0o755),
    Entry("bin/server", EXECUTABLE + NOISE, mode=0o755),
    Entry("current", kind="symlink", target="bin/server"),
    Entry("data/" + "long" * 30, b"text " * 300),
    Entry("empty"),
]
ARCHIVES = {form: build(form, RELEASE) for form in FORMATS}
BY_EXAMPLE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    sandbox = Sandbox(tmp_path_factory.mktemp("whole"))
    sandbox.unpack(ARCHIVES["tar"], "app.tar")
    return listing(sandbox.into)


def same_content(one: dict[str, object], other: dict[str, object]) -> bool:
    def content(about: object) -> object:
        assert isinstance(about, tuple)
        return about[1][0] if isinstance(about[1], tuple) else about[1]

    return {name: content(about) for name, about in one.items()} == {name: content(about) for name, about in other.items()}


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_archive_is_refused_wherever_it_is_cut(sandbox: Sandbox, whole: dict[str, object], form: str) -> None:
    """Also at the border of two members. Only a tar's last zeros can be missing: everything is there then."""
    data = ARCHIVES[form]
    needed = len(tarred(RELEASE)) - BLOCK if form == "tar" else len(data)
    step = 7 if form == "tar" else 1
    with sandbox.untouched():
        for size in {*range(0, needed, step), *range(0, needed, BLOCK)}:
            with pytest.raises(ArchiveError, match=f"app.{form} is refused: "):
                sandbox.unpack(data[:size], f"app.{form}")
            assert not sandbox.into.exists()
        sandbox.unpack(data[:needed], f"app.{form}")
    assert listing(sandbox.into) == whole


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_archive_says_so(sandbox: Sandbox, form: str) -> None:
    sandbox.refuses(ARCHIVES[form][: len(ARCHIVES[form]) * 2 // 3], f"app.{form}", "cut off")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("garbage", [b"x", b"garbage" * 100, b"\0\0\0\0x"])
def test_something_after_the_end_is_refused(sandbox: Sandbox, form: str, garbage: bytes) -> None:
    sandbox.refuses(ARCHIVES[form] + garbage, f"app.{form}")


@pytest.mark.parametrize("form", PLAIN_TARS[1:])
def test_something_after_the_end_is_named(sandbox: Sandbox, form: str) -> None:
    sandbox.refuses(
        ARCHIVES[form] + b"garbage, and much of it", f"app.{form}", "something after the end of its compressed data"
    )
    sandbox.refuses(packed(tarred(RELEASE) + b"x", form), f"app.{form}", "something after its end-of-archive mark")


@pytest.mark.parametrize("form", FORMATS)
def test_flipped_bits_are_found_or_harmless(sandbox: Sandbox, whole: dict[str, object], form: str) -> None:
    """Compressed formats have checksums: what is unpacked has the right bytes. Bare tar has none for content."""
    data = ARCHIVES[form]
    flips = st.tuples(st.integers(0, len(data) - 1), st.integers(0, 7))

    @BY_EXAMPLE
    @given(st.lists(flips, min_size=1, max_size=3, unique=True))
    def flipped(places: list[tuple[int, int]]) -> None:
        damaged = bytearray(data)
        for position, bit in places:
            damaged[position] ^= 1 << bit
        try:
            sandbox.unpack(bytes(damaged), f"app.{form}")
        except ArchiveError:
            assert not sandbox.into.exists()
            return
        made = listing(sandbox.into)
        shutil.rmtree(sandbox.into)
        if form in PLAIN_TARS[1:]:
            assert same_content(made, whole)

    with sandbox.untouched():
        flipped()


@BY_EXAMPLE
@given(data=st.binary(max_size=2000), form=st.sampled_from([*FORMATS, "gz", "xz", "bin"]), magic=st.booleans())
def test_any_bytes_are_refused_or_unpacked(sandbox: Sandbox, data: bytes, form: str, magic: bool) -> None:
    """Also behind the right first bytes, and inside the right compression."""
    if magic:
        data = packed(tarred(RELEASE)[:BLOCK] + data, form)
    with sandbox.untouched():
        try:
            sandbox.unpack(data, f"app.{form}")
        except ArchiveError:
            assert not sandbox.into.exists()
        else:
            shutil.rmtree(sandbox.into)


class Interrupted(BaseException):
    """Like KeyboardInterrupt: no Exception."""


@pytest.mark.parametrize("form", ["tar.gz", "tar.zst", "zip"])
def test_an_interrupted_unpacking_leaves_nothing(sandbox: Sandbox, form: str) -> None:
    """At whichever moment; and what interrupted it is passed on."""
    source = sandbox.root / "downloads/artifact"
    source.write_bytes(ARCHIVES[form])
    calls = 0

    def progress() -> None:
        nonlocal calls
        calls -= 1
        if calls == 0:
            raise Interrupted

    for last in range(1, 1000):
        calls = last
        with sandbox.untouched():
            try:
                unpack(source, f"app.{form}", sandbox.into, progress=progress)
            except Interrupted:
                assert not sandbox.into.exists()
            else:
                break
    assert last > 10
    assert (sandbox.into / "bin/server").exists()


def test_a_source_that_is_not_there_is_the_hosts_fault(sandbox: Sandbox) -> None:
    with sandbox.untouched(), pytest.raises(HostError, match="No such file"):
        unpack(sandbox.root / "nothing", "app.tar", sandbox.into)
    assert not sandbox.into.exists()


def test_a_parent_that_is_not_there_is_the_hosts_fault(sandbox: Sandbox) -> None:
    with sandbox.untouched(), pytest.raises(HostError, match="No such file") as caught:
        sandbox.unpack(ARCHIVES["tar"], "app.tar", into=sandbox.releases / "no" / "new")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOENT
