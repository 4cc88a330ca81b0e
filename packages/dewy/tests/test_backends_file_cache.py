"""The file cache: the conformance kit, and what only a directory can do wrong."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dewy import files
from dewy.backends.bounds import Bounds
from dewy.backends.file_cache import FileCache
from dewy.backends.plugin import FILE_CACHE
from dewy.errors import CacheError
from dewy.files import NewFile, sweep
from dewy.testing import CacheConformance, TestContext
from dewy.testing.streams import breaking
from dewy.urls import parse_url
from hostile_disk import as_nobody, file_size_limit, names_in

ROOMY = Bounds(keep=100, size=1 << 30)
KEY = "v1.4.0--app_linux_amd64.tar.gz"


class TestFileCache(CacheConformance):
    """The kit."""

    backend = FILE_CACHE
    plugin = "dewy.backends.plugin"
    pins = True

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return (tmp_path / "cache").as_uri() + "?keep=60"

    @pytest.fixture
    def small_url(self, tmp_path: Path) -> str:
        return (tmp_path / "small").as_uri() + "?keep=3"

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> str:
        (tmp_path / "file").write_bytes(b"")
        return (tmp_path / "file" / "cache").as_uri()


def cache_of(path: Path, bounds: Bounds = ROOMY) -> FileCache:
    return FileCache(path, bounds)


def listed(path: Path) -> list[str]:
    return [name for name in names_in(path) if name != "CACHEDIR.TAG"]


def test_an_artifact_stands_on_the_disk_under_its_key_and_current_has_the_key_of_the_one_that_runs(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    cache.write(KEY, io.BytesIO(b"archive"))
    cache.pin([KEY, "v1.3.0--app_linux_amd64.tar.gz"])
    assert (tmp_path / KEY).read_bytes() == b"archive"
    assert (tmp_path / "current").read_bytes() == KEY.encode()
    cache.pin([])
    assert not (tmp_path / "current").exists()


def test_without_a_path_it_is_in_the_directory_that_dewy_lends_which_is_made_when_needed_for_its_owner_only(
    tmp_path: Path,
) -> None:
    context = TestContext(tmp_path)
    cache = FILE_CACHE.open(parse_url("file://", FILE_CACHE.options), context)
    assert cache.read(KEY) is None
    assert not context.cache_directory.exists(), "reading makes nothing"
    cache.write(KEY, io.BytesIO(b"x"))
    assert stat.S_IMODE(context.cache_directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((context.cache_directory / KEY).stat().st_mode) == 0o600


def test_a_cache_of_the_go_original_is_read_and_kept(tmp_path: Path) -> None:
    (tmp_path / "current").write_text(KEY)
    (tmp_path / KEY).write_bytes(b"archive")
    cache = cache_of(tmp_path)
    assert cache.keys() == [KEY]
    cache.write("v1.5.0--app.tar.gz", io.BytesIO(b"new"))
    assert listed(tmp_path) == sorted([KEY, "current", "v1.5.0--app.tar.gz"])


def test_a_directory_with_other_peoples_files_is_refused_and_nothing_in_it_is_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_bytes(b"years of work")
    cache = cache_of(tmp_path, Bounds(keep=1, size=1))
    for change in (lambda: cache.write(KEY, io.BytesIO(b"x")), lambda: cache.pin([KEY])):
        with pytest.raises(CacheError, match=r"thesis\.odt") as raised:
            change()
        assert "directory of its own" in raised.value.hint
    assert names_in(tmp_path) == ["thesis.odt"]


def test_files_that_are_put_into_a_cache_later_and_are_no_values_are_left_alone(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, Bounds(keep=1, size=1 << 20))
    cache.write("a--b", io.BytesIO(b"x"))
    for name in (".hidden", "b\u00e9e", "half%encoded"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    cache.write("c--d", io.BytesIO(b"x"))
    assert cache.keys() == ["c--d"]
    assert listed(tmp_path) == sorted([".hidden", "b\u00e9e", "c--d", "folder", "half%encoded"])


def test_the_total_size_is_bounded_but_what_was_just_written_always_stays(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, Bounds(keep=100, size=1000))
    for number in range(5):
        cache.write(f"v{number}", io.BytesIO(b"x" * 300))
    assert sorted(cache.keys()) == ["v2", "v3", "v4"]
    cache.write("large", io.BytesIO(b"x" * 5000))
    assert cache.keys() == ["large"]


def test_long_keys_can_be_read_on_but_not_back_to_the_line_that_holds_the_key(tmp_path: Path) -> None:
    cache, key = cache_of(tmp_path), "v1--" + "ž" * 500
    cache.write(key, io.BytesIO(b"value"))
    assert all(len(os.fsencode(name)) <= 255 for name in names_in(tmp_path))
    stream = cache.read(key)
    assert stream is not None
    with stream:
        assert not stream.seekable()
        with pytest.raises(io.UnsupportedOperation):
            stream.seek(0)
        assert stream.read() == b"value"


def test_a_file_under_the_name_of_a_long_key_that_holds_something_else_is_not_listed(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    cache.write("x" * 400, io.BytesIO(b"value"))
    (name,) = (name for name in names_in(tmp_path) if name.startswith("%long-"))
    (tmp_path / name).write_bytes(b"\xff\xfe no key at all")
    assert cache.keys() == []


@pytest.mark.timeout(20)
def test_links_fifos_sockets_and_directories_in_it_are_no_values(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = tmp_path / "cache"
    cache = cache_of(path)
    cache.write("a--b", io.BytesIO(b"x"))
    (path / "link--x").symlink_to(secret)
    os.mkfifo(path / "fifo--x")
    (path / "folder--x").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path / "socket--x"))
    for name in ("link--x", "fifo--x", "folder--x", "socket--x"):
        assert cache.read(name) is None
    assert cache.keys() == ["a--b"]
    cache.write("link--x", io.BytesIO(b"mine"))
    cache.write("fifo--x", io.BytesIO(b"mine"))
    assert (secret.read_bytes(), not (path / "link--x").is_symlink()) == (b"secret", True)
    assert sorted(cache.keys()) == ["a--b", "fifo--x", "link--x"]


def test_links_in_place_of_its_own_files_are_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text('["a--b"]')
    path = tmp_path / "cache"
    cache = cache_of(path, Bounds(keep=1, size=1 << 20))
    cache.write("a--b", io.BytesIO(b"x"))
    for name in ("current", ".pinned.json"):
        (path / name).symlink_to(precious)
    cache.write("c--d", io.BytesIO(b"x"))
    assert cache.keys() == ["c--d"], "a link's pins were believed"
    cache.pin(["c--d"])
    assert precious.read_text() == '["a--b"]'
    assert (path / "current").read_text() == "c--d"


def test_damaged_pins_pin_nothing_and_stop_nothing(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, Bounds(keep=1, size=1 << 20))
    cache.pin(["a--b"])
    for damage in (b"\xff", b"[1, null", b'{"a--b": 1}', b"[[1], 2]"):
        (tmp_path / ".pinned.json").write_bytes(damage)
        cache.write("a--b", io.BytesIO(b"x"))
        cache.write("c--d", io.BytesIO(b"x"))
        assert cache.keys() == ["c--d"]


def test_a_full_disk_is_told_with_its_cure_keeps_the_old_value_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    cache.write(KEY, io.BytesIO(b"old"))
    with file_size_limit(1 << 20), pytest.raises(CacheError, match=f"the cache cannot write {tmp_path}/{KEY}"):
        cache.write(KEY, io.BytesIO(bytes(3 << 20)))
    stream = cache.read(KEY)
    assert stream is not None
    with stream:
        assert stream.read() == b"old"
    assert listed(tmp_path) == [KEY]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_the_cure_of_a_full_disk_is_to_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = cache_of(tmp_path)
    cache.write("a--b", io.BytesIO(b"x"))
    full = os.open("/dev/full", os.O_WRONLY)
    created = NewFile.__init__

    def on_full_disk(self: NewFile, directory: Path, mode: int = 0o600) -> None:
        created(self, directory, mode)
        os.dup2(full, self._fd)

    monkeypatch.setattr(NewFile, "__init__", on_full_disk)
    try:
        with pytest.raises(CacheError, match="No space left on device") as raised:
            cache.write(KEY, io.BytesIO(b"x"))
    finally:
        os.close(full)
    assert raised.value.hint == "Free some space there"
    assert listed(tmp_path) == ["a--b"]


def test_a_source_that_breaks_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="broke off"):
        cache_of(tmp_path).write(KEY, breaking(b"x" * 3_000_000))
    assert listed(tmp_path) == []


def test_a_cache_that_may_only_be_read_is_read_and_says_why_it_is_not_written() -> None:
    with as_nobody(0o500) as path:
        assert cache_of(path).keys() == []
        assert cache_of(path).read(KEY) is None
        with pytest.raises(CacheError, match="Permission denied") as raised:
            cache_of(path).write(KEY, io.BytesIO(b"x"))
    assert raised.value.hint == "Give the user that runs dewy access to it"


WRITER = """
import io, sys
from pathlib import Path
from dewy.backends.bounds import Bounds
from dewy.backends.file_cache import FileCache

class Source(io.BytesIO):
    def read(self, size=-1):
        if self.tell():
            print("half", flush=True)
            sys.stdin.readline()
        return super().read(1000)

FileCache(Path(sys.argv[1]), Bounds(100, 1 << 30)).write(sys.argv[2], Source(b"y" * 2000))
print("done", flush=True)
"""


@contextmanager
def writer(path: Path, key: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has written half of a value and waits for a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def temporary(path: Path) -> list[str]:
    return [name for name in names_in(path) if name.endswith(".tmp")]


def test_what_a_killed_writer_left_is_swept_by_the_next_write_of_another_process(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    with writer(tmp_path, KEY) as process:
        assert len(temporary(tmp_path)) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(temporary(tmp_path)) == 1
    assert (cache.read(KEY), cache.keys()) == (None, [])
    cache.write("a--b", io.BytesIO(b"x"))
    assert temporary(tmp_path) == []


def test_a_live_writer_of_another_process_is_not_disturbed_by_sweeps(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    with writer(tmp_path, KEY) as process:
        for number in range(3):
            cache.write(f"v{number}--app", io.BytesIO(b"x"))
        assert len(temporary(tmp_path)) == 1
        out, _ = process.communicate("\n\n\n")
    assert "done" in out
    stream = cache.read(KEY)
    assert stream is not None
    with stream:
        assert stream.read() == b"y" * 2000
    assert temporary(tmp_path) == []


@pytest.mark.parametrize("done", [True, False], ids=["done", "under way"])
def test_a_sweep_between_making_and_locking_a_file_makes_the_writer_take_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    is_ours, answers = files._is_ours, []

    def late(fd: int) -> bool:
        if answers:
            return is_ours(fd)
        if done:
            sweep(tmp_path)
            answers.append(is_ours(fd))
        else:
            (path,) = tmp_path.iterdir()
            with path.open("wb") as sweeper:
                fcntl.flock(sweeper, fcntl.LOCK_EX)
                answers.append(is_ours(fd))
                path.unlink()
        return answers[0]

    monkeypatch.setattr(files, "_is_ours", late)
    with NewFile(tmp_path) as file:
        file.write(b"whole")
        file.publish(tmp_path / "value")
    assert answers == [False]
    assert (tmp_path / "value").read_bytes() == b"whole"
    assert names_in(tmp_path) == ["value"]
