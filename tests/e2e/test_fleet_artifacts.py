"""Large artifacts through real stores: right bytes, little memory, nothing half-written (R42)."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_agent import start_agent
from dewy.testing.cache_fixtures import digest_in
from fleet import open_cache
from redis_server import RedisServer, binary_of
from running import environment, eventually

MEBIBYTE = 1024 * 1024
SIZE = 300 * MEBIBYTE

WRITER = """
import sys
from pathlib import Path
from dewy.plugins import load_plugins
from dewy.testing import TestContext
from dewy.testing.cache_fixtures import digest_in

def highest():  # in KiB; getrusage counts what the process was before it became this one
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

url, source = sys.argv[1:]
cache = load_plugins({}).cache(url, TestContext(Path("."), {}))
cache.keys()
before = highest()
with open(source, "rb") as file:
    cache.write("app", file)
digest = digest_in(cache, "app")
print(digest, (highest() - before) // 1024)
"""


@pytest.fixture(params=["redis", "consul"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "consul":
        with start_agent(tmp_path / "consul") as agent:
            yield f"consul://{agent.address}"
        return
    with RedisServer(binary_of("redis"), tmp_path / "redis") as server:
        yield server.url


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A file of 300 MiB of which no two pieces are the same, and its digest."""
    path = tmp_path_factory.mktemp("fleet") / "artifact"
    hasher, dice = hashlib.sha256(), random.Random(7)
    with path.open("wb") as file:
        for _ in range(SIZE // MEBIBYTE):
            piece = dice.randbytes(MEBIBYTE)
            file.write(piece)
            hasher.update(piece)
    yield path, hasher.hexdigest()
    path.unlink()


def writer(url: str, source: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(source)], stdout=subprocess.PIPE, text=True, env=environment()
    )


def test_300_mebibytes_come_back_and_take_little_memory(url: str, artifact: tuple[Path, str]) -> None:
    path, digest = artifact
    with writer(url, path) as process:
        said, _ = process.communicate(timeout=110)
    assert process.returncode == 0
    got, grown = said.split()
    assert got == digest
    print(f"{url.partition(':')[0]}: memory grew by {grown} MiB")  # noqa: T201 - shown with -s
    assert int(grown) < 64


def test_a_writer_killed_in_the_middle_leaves_nothing_that_can_be_taken(
    url: str, artifact: tuple[Path, str], tmp_path: Path
) -> None:
    path, digest = artifact
    cache = open_cache(url, tmp_path)
    with writer(url, path) as process:
        blobs = cache._blobs  # type: ignore[attr-defined]  # to see from outside that it is in the middle
        eventually(blobs.uploads, 60, "the first piece")
        process.kill()
    assert cache.read("app") is None
    assert list(cache.keys()) == []
    with path.open("rb") as file:
        other = open_cache(url + "?prefix=other:" if url.startswith("redis") else url + "/other", tmp_path)
        other.write("app", file)
    assert digest_in(other, "app") == digest
    assert cache.read("app") is None
