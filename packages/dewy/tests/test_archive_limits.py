"""Bombs, bounded memory, and hosts that have no room."""

from __future__ import annotations

import gzip
import lzma
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from archives import BLOCK, EXECUTABLE, FORMATS, PLAIN_TARS, Entry, Sandbox, build, header, packed, patched, tarred, zipped
from dewy.archive import Limits, unpack
from dewy.errors import ArchiveError, HostError
from hostile_disk import as_nobody, file_size_limit

MIB = 1 << 20
FEW = Limits(max_bytes=MIB, max_members=20)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


# ----------------------------------------------------------------------------------------------------------------- bombs


@pytest.mark.parametrize("form", FORMATS)
def test_a_member_beyond_the_limit_is_refused(sandbox: Sandbox, form: str) -> None:
    data = build(form, [Entry("small"), Entry("bomb", bytes(5 * MIB))])
    named = ("goes beyond the limit of 1048576 bytes unpacked", "Raise max-size")
    sandbox.refuses(data, f"app.{form}", *named, *(["'bomb'"] if form != "zip" else []), limits=FEW)


@pytest.mark.parametrize("form", FORMATS)
def test_members_beyond_the_limit_together_are_refused(sandbox: Sandbox, form: str) -> None:
    entries = [Entry(f"part{index}", bytes(MIB // 4)) for index in range(5)]
    sandbox.unpack(build(form, entries[:4]), f"app.{form}", FEW, into=sandbox.root / "downloads/just")
    sandbox.refuses(build(form, entries), f"app.{form}", "beyond the limit of 1048576 bytes", limits=FEW)


@pytest.mark.parametrize("form", FORMATS)
def test_more_members_than_the_limit_are_refused(sandbox: Sandbox, form: str) -> None:
    entries = [Entry(f"part{index}") for index in range(21)]
    sandbox.unpack(build(form, entries[:20]), f"app.{form}", FEW, into=sandbox.root / "downloads/just")
    sandbox.refuses(build(form, entries), f"app.{form}", "beyond the limit of 20 members", "Raise max-members", limits=FEW)


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_more_directories_than_the_limit_are_refused(sandbox: Sandbox, form: str) -> None:
    """A member implies as many as its path has parts."""
    entries = [Entry(f"{index}/" + "d/" * 10 + "x") for index in range(3)]
    sandbox.refuses(build(form, entries), f"app.{form}", "'1/d", "more directories than the limit of 20", limits=FEW)


@pytest.mark.parametrize("name", ["tool.gz", "tool.zst", "tool.xz", "tool"])
def test_a_bare_executable_beyond_the_limit_is_refused(sandbox: Sandbox, name: str) -> None:
    beyond = packed(EXECUTABLE + bytes(MIB), name)
    sandbox.refuses(beyond, name, "goes beyond the limit of 1048576 bytes unpacked", limits=FEW)
    sandbox.refuses(packed(EXECUTABLE + bytes(5 * MIB), name), name, "beyond", limits=FEW)


@pytest.mark.parametrize("form", PLAIN_TARS)
def test_endless_padding_is_refused(sandbox: Sandbox, form: str) -> None:
    """What is neither file nor header counts too."""
    data = packed(tarred([Entry("x")]) + bytes(5 * MIB), form)
    sandbox.refuses(data, f"app.{form}", "is a decompression bomb", limits=FEW)


def test_endless_extended_headers_are_refused(sandbox: Sandbox) -> None:
    one = header(Entry("x", pax={"comment": "c" * 500_000}))
    data = packed(one * 20 + bytes(1024), "tar.gz")
    sandbox.refuses(data, "app.tar.gz", limits=FEW)
    extended = one[:-BLOCK]
    sandbox.refuses(packed(extended + bytes(1024), "tar.gz"), "app.tar.gz", "belongs to no member", limits=FEW)


def test_a_zip_that_lies_about_its_sizes_is_refused(sandbox: Sandbox) -> None:
    """It may not write more than it states, whatever is in it."""
    data = zipped([Entry("bomb", bytes(5 * MIB))])
    lie = struct.pack("<I", 1000)
    data = patched(data, (b"PK\x03\x04", 22, lie), (b"PK\x01\x02", 24, lie))
    sandbox.refuses(data, "app.zip", "'bomb'", "does not have the 1000 bytes", limits=FEW)


def empty_files(count: int) -> bytes:
    """Their headers. Only digits and checksum differ."""
    block = bytearray(header(Entry("f0000000")))
    checksum = int(bytes(block[148:154]), 8)
    result = bytearray()
    for index in range(count):
        digits = b"%07d" % index
        block[1:8] = digits
        block[148:154] = b"%06o" % (checksum + sum(digits) - sum(b"0000000"))
        result += block
    return bytes(result)


def test_a_million_members_in_a_tar_are_refused_quickly(sandbox: Sandbox) -> None:
    """They are counted before most of those within the limit are written."""
    distinct = gzip.compress(empty_files(100_001), 1)
    rest = gzip.compress(empty_files(100_000), 1) * 9
    start = time.process_time()
    sandbox.refuses(
        distinct + rest + gzip.compress(bytes(1024)), "app.tar.gz", "'f0100000'", "beyond the limit of 100000 members"
    )
    assert time.process_time() - start < 15


def test_a_crowd_is_counted_before_it_is_written(sandbox: Sandbox) -> None:
    source, seen = sandbox.root / "downloads/artifact", [0]
    source.write_bytes(gzip.compress(empty_files(20_001) + bytes(1024)))

    def look() -> None:
        seen[0] += 1
        if seen[0] % 1000 == 0:
            seen.append(len(os.listdir(sandbox.into)))  # noqa: PTH208 - quick

    with pytest.raises(ArchiveError, match="'f0020000' goes beyond the limit of 20000 members"):
        unpack(source, "app.tar.gz", sandbox.into, Limits(max_members=20_000), progress=look)
    assert 1000 < max(seen[1:]) <= 5000


@pytest.mark.parametrize("honest", [True, False])
def test_a_million_members_in_a_zip_are_refused_quickly(sandbox: Sandbox, honest: bool) -> None:
    entry = zipped([Entry("x")])
    start = entry.rindex(b"PK\x01\x02")
    central = entry[start : entry.rindex(b"PK\x05\x06")] * 1_000_000
    count = 1_000_000 if honest else 100_000
    end = start + len(central)
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(central), start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    data = entry[:start] + central + record + locator + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, *[0xFFFF] * 2, 1, 1, 0)
    begun = time.process_time()
    sandbox.refuses(data, "app.zip", "beyond the limit of 100000 members" if honest else "more members than the 100000")
    assert time.process_time() - begun < (2 if honest else 15)


# ---------------------------------------------------------------------------------------------------------------- memory

GROWTH = """
import resource, sys
from pathlib import Path
from dewy.archive import Limits, unpack
from dewy.errors import ArchiveError
source, name, into, warm = sys.argv[1:]
unpack(Path(warm), name, Path(into + ".warm"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    unpack(Path(source), name, Path(into), Limits(max_bytes=48 << 20, max_members=100))
except ArchiveError as error:
    print(error, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("form", "size"), [*((form, 48) for form in FORMATS), ("tar.gz", 160), ("tar.zst", 160)])
def test_memory_does_not_grow_with_the_archive(sandbox: Sandbox, form: str, size: int) -> None:
    """Nor with what a few of its bytes become: these are the worst, zeros. The larger ones are refused on the way."""
    source, warm = sandbox.root / "downloads/artifact", sandbox.root / "downloads/warm"
    head = header(Entry("zeros"), size=size * MIB if size == 48 else 1)
    zeros = bytes(MIB)
    compress = {
        "tar.gz": lambda: zlib.compressobj(6, wbits=31),
        "tar.xz": lambda: lzma.LZMACompressor(preset=1),
        "tar.zst": zstandard.ZstdCompressor(level=3).compressobj,
    }.get(form)
    if compress is None:
        source.write_bytes(build(form, [Entry("zeros", bytes(size * MIB))]))
    else:
        stream = compress()
        with source.open("wb") as file:
            file.write(stream.compress(head))
            for _ in range(size):
                file.write(stream.compress(zeros))
            file.write(stream.compress(bytes(10240)) + stream.flush())
    warm.write_bytes(build(form, [Entry("x", b"warm")]))
    result = subprocess.run(
        [sys.executable, "-c", GROWTH, source, f"app.{form}", sandbox.into, warm], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 24 * 1024, f"{result.stdout} KiB more; {result.stderr}"
    assert sandbox.into.exists() == (size == 48), result.stderr


def test_xz_data_that_needs_much_memory_is_refused(sandbox: Sandbox) -> None:
    """A dictionary of 4 GiB is stated; liblzma would take it at once."""
    data = bytearray(lzma.compress(tarred([Entry("x")]), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": MIB}]))
    start, length = 12, (data[12] + 1) * 4
    data[data.index(b"\x21\x01", start) + 2] = 40
    data[start + length - 4 : start + length] = struct.pack("<I", zlib.crc32(data[start : start + length - 4]))
    sandbox.refuses(bytes(data), "app.tar.xz", "Memory usage limit exceeded")


def test_zstd_data_that_needs_much_memory_is_refused(sandbox: Sandbox) -> None:
    """A window of 256 MiB."""
    parameters = zstandard.ZstdCompressionParameters(window_log=28, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = stream.compress(tarred([Entry("x")])) + stream.flush()
    sandbox.refuses(data, "app.tar.zst", "too much memory")


# -------------------------------------------------------------------------------------------------------- the host's fault


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root and mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "tmpfs", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("this host does not let us mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_the_hosts_fault_and_leaves_nothing(sandbox: Sandbox, tiny_disk: Path, form: str) -> None:
    data = build(form, [Entry("small", b"x"), Entry("large", bytes(5 * MIB))])
    with (
        sandbox.untouched(),
        pytest.raises(HostError, match=f"app.{form} cannot be unpacked into .*: No space left") as caught,
    ):
        sandbox.unpack(data, f"app.{form}", into=tiny_disk / "new")
    assert "Make room" in caught.value.hint
    assert list(tiny_disk.iterdir()) == []


def test_a_disk_without_room_for_more_files_is_the_hosts_fault(sandbox: Sandbox, tiny_disk: Path) -> None:
    data = tarred([Entry(f"d{index}/x") for index in range(200)])
    with sandbox.untouched(), pytest.raises(HostError, match="No space left"):
        sandbox.unpack(data, "app.tar", into=tiny_disk / "new")
    assert list(tiny_disk.iterdir()) == []


def test_a_file_that_cannot_grow_is_the_hosts_fault(sandbox: Sandbox) -> None:
    """A write takes a part of the last piece, and only the next one would fail."""
    source = sandbox.root / "downloads/artifact"
    source.write_bytes(gzip.compress(tarred([Entry("large", os.urandom(MIB + 2000))])))
    with sandbox.untouched():
        with file_size_limit(MIB + 1000), pytest.raises(HostError, match="File too large"):
            unpack(source, "app.tar.gz", sandbox.into)
        assert not sandbox.into.exists()


def test_a_directory_that_may_not_be_written_is_the_hosts_fault(sandbox: Sandbox, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(tarred([Entry("x")]))
    with as_nobody(0o500) as folder:
        with pytest.raises(HostError, match=r"app\.tar cannot be unpacked into .*: Permission denied"):
            unpack(source, "app.tar", folder / "new")
        assert list(folder.iterdir()) == []


def test_a_host_without_memory_is_at_fault_itself(sandbox: Sandbox) -> None:
    """The limit is this process's own, so it is set in a child."""
    source = sandbox.root / "downloads/artifact"
    source.write_bytes(lzma.compress(tarred([Entry("x")]), preset=9))  # asks for 64 MiB
    script = (
        "import lzma, resource, sys; from pathlib import Path; from dewy.archive import unpack\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20),) * 2)\n"
        "unpack(Path(sys.argv[1]), 'app.tar.xz', Path(sys.argv[2]))"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs Linux")
    with sandbox.untouched():
        command = [sys.executable, "-c", script, source, sandbox.into]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "dewy.errors.HostError: app.tar.xz cannot be unpacked: not enough memory" in result.stderr
    assert not sandbox.into.exists()


def test_descriptors_are_few_however_deep(sandbox: Sandbox) -> None:
    """A path of the greatest depth needs fewer than a process usually has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        deep = "d/" * 126 + "x"
        sandbox.unpack(tarred([Entry(deep, b"1"), Entry("e/" + deep, b"2")]), "app.tar")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (sandbox.into / "e" / deep).read_bytes() == b"2"
