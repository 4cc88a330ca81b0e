"""Fetching in a fleet: what is trusted, and what a cache that misbehaves may not do (R42, R44)."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from dewy.backends.bounds import Bounds
from dewy.errors import ArtifactError, RegistryError, UsageError
from dewy.fetch import Fetcher
from dewy.keeping import SharedKeeping
from dewy.keyvalue.cache import WatchableKeyValueCache
from dewy.runtime import Runtime
from dewy.settings import VerifyMode
from dewy.sharing.fleet import Fleet
from dewy.sharing.health import CacheHealth
from dewy.testing import Recorder
from dewy.types import Backend, Release, Stated
from fleet_hosts import runtime_of
from kv_store import DictStore

TRUE, FALSE = b"the true bytes" * 10_000, b"what somebody put into the store" * 10_000
RELEASE = Release(version="v1.0.0", artifact="app.tar.gz", url="source://app")


@dataclass
class Source:
    """An artifact whose source says what its digest is as it sends the bytes, or does not."""

    states: bool
    downloads: int = 0

    def download(self, to: BinaryIO) -> Stated:
        self.downloads += 1
        to.write(TRUE)
        return Stated(digests=(f"sha256:{hashlib.sha256(TRUE).hexdigest()}",) if self.states else ())


@dataclass
class OneOfMany:
    """One host that shares a cache, and the store behind it."""

    root: Path
    verify: VerifyMode
    source: Source
    store: DictStore = field(default_factory=DictStore)
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        backend: Backend[Source] = Backend(
            schemes=("source",), summary="", examples=(), open=lambda _url, _context: self.source
        )
        self.root.mkdir()
        self.store = self.store.connect()
        self.runtime = runtime_of(self.root, "dict://store", [backend], verify=self.verify)
        self.cache = WatchableKeyValueCache(self.store, "dewy/", Bounds(20, 1 << 30), 3600.0)
        self.keeping = SharedKeeping(self.cache, lambda _release: "id")
        health = CacheHealth(self.runtime.emit, self.runtime.waker.monotonic)
        fleet = Fleet.of(self.runtime, self.cache, health)
        assert fleet
        self.claims = fleet.claims
        self.fetcher = Fetcher(
            self.runtime, keeping=self.keeping, health=health, downloads=fleet.downloads, progress=lambda *_: None
        )
        (self.root / ".dewy").mkdir()
        self.fetcher.prepare()

    @property
    def said(self) -> list[str]:
        assert isinstance(self.runtime.emit, Recorder)
        return self.runtime.emit.names

    def fetch(self) -> bytes:
        with self.fetcher.fetch(RELEASE) as fetched:
            return fetched.path.read_bytes()

    def put(self, content: bytes) -> None:
        """Puts a copy into the store that says of itself what it is."""
        head = self.keeping.head(f"sha256:{hashlib.sha256(content).hexdigest()}")
        self.cache.write(self.keeping.key(RELEASE), io.BytesIO(head + content))


def test_a_copy_in_the_store_is_as_good_as_its_source_where_digests_need_not_be_stated(tmp_path: Path) -> None:
    one = OneOfMany(tmp_path / "one", "auto", Source(states=True))
    assert one.fetch() == TRUE
    other = OneOfMany(tmp_path / "other", "auto", Source(states=True), one.store)
    assert other.fetch() == TRUE
    assert (one.source.downloads, other.source.downloads) == (1, 0)


def test_where_digests_are_required_no_copy_stands_in_for_the_word_of_the_source(tmp_path: Path) -> None:
    host = OneOfMany(tmp_path / "host", "required", Source(states=True))
    host.put(FALSE)
    assert host.fetch() == TRUE
    silent = OneOfMany(tmp_path / "silent", "required", Source(states=False), host.store)
    with pytest.raises(ArtifactError, match="nothing states a digest"):
        silent.fetch()


def test_who_must_ask_the_source_does_not_wait_for_the_download_of_another_host(tmp_path: Path) -> None:
    """Its copy could not be used."""
    other = OneOfMany(tmp_path / "other", "auto", Source(states=True))
    host = OneOfMany(tmp_path / "host", "required", Source(states=True), other.store)
    with other.claims.held(f"download {other.keeping.key(RELEASE)}") as claim:
        assert claim
        assert host.fetch() == TRUE
    assert "artifact.awaited" not in host.said


@pytest.mark.parametrize(
    "error", [UsageError("odd"), RegistryError("odd"), ArtifactError("odd"), OSError("odd"), ValueError("odd")]
)
def test_a_cache_that_raises_what_it_should_not_stops_no_deployment(tmp_path: Path, error: Exception) -> None:
    host = OneOfMany(tmp_path / "host", "auto", Source(states=True))

    def fail(_operation: str, _key: str) -> None:
        raise error

    host.store.before = fail
    assert host.fetch() == TRUE
    assert host.said.count("cache.failed") == 1
    assert host.source.downloads == 1
