"""From a release to verified bytes on this disk: out of the cache, or downloaded and put there.

Whatever the way, what is handed on is a private copy whose digest was taken as it was written, and which matches
everything that is stated of it (invariant 4).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from dewy.checksums import LARGEST, parse_checksums
from dewy.digests import PRIMARY, new_hasher, verify
from dewy.errors import ArtifactError, CacheError, PluginError, from_os_error
from dewy.events import ARTIFACT_CACHED, ARTIFACT_DOWNLOADED, CACHE_FAILED, CACHE_RECOVERED
from dewy.runtime import Runtime
from dewy.state import Deployed
from dewy.types import Cache, PinningCache, Release, Stated

__all__ = ["Fetched", "Fetcher", "Progress", "cache_key"]

T = TypeVar("T")

_PIECE = 1 << 20
_STALL = 60.0
"""Seconds without a byte after which a download or a cache counts as hung."""
_FACTS_SUFFIX = ".facts.json"
_MOST_FACTS = 64 * 1024

Progress = Callable[[str, int, int | None], None]
"""Is told an artifact's name, the bytes so far and the bytes in all, when known. Called often."""


def cache_key(release: Release | Deployed) -> str:
    """Where a cache keeps a release's artifact (R41)."""
    return f"{release.version}--{release.artifact}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """An artifact on this disk.

    Attributes:
        path: A private copy, gone when the deployment is over.
        digest: ``sha256:HEX``.
        size: In bytes.
    """

    path: Path
    digest: str
    size: int


class _Sink(io.RawIOBase):
    """Where bytes arrive: counts, hashes and bounds them, and turns a writer away that was given up."""

    def __init__(
        self, file: BinaryIO, name: str, most: int, monotonic: Callable[[], float], progress: Callable[[int], None]
    ):
        self._file, self._name, self._most = file, name, most
        self._hasher, self._monotonic, self._progress = new_hasher(), monotonic, progress
        self.size = 0
        self.last_write = monotonic()
        self.abandoned = False
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # any buffer: what io calls ReadableBuffer
        if self.abandoned:
            raise ArtifactError(f"{self._name} is not wanted any more")
        if self.size + len(piece) > self._most:
            raise ArtifactError(f"{self._name} is larger than {self._most} bytes", "--max-size sets what is allowed")
        try:
            self._file.write(piece)
        except OSError as error:
            self.error = error
            raise
        self._hasher.update(piece)
        self.size += len(piece)
        self.last_write = self._monotonic()
        self._progress(self.size)
        return len(piece)

    @property
    def digest(self) -> str:
        return f"{PRIMARY}:{self._hasher.hexdigest()}"


class Fetcher:
    """Gets artifacts."""

    def __init__(self, runtime: Runtime, cache: Cache, progress: Progress) -> None:
        self._plugins, self._context = runtime.plugins, runtime.context
        self._guard, self._waker, self._emit = runtime.guard, runtime.waker, runtime.emit
        self._directory = runtime.settings.state_directory / "tmp"
        self._max_size, self._mode = runtime.settings.max_size, runtime.settings.verify
        self._cache, self._progress = cache, progress
        self._cache_works = True
        self._pinned: tuple[Deployed, ...] = ()

    def prepare(self) -> None:
        """Takes away what a killed dewy left, and makes the directory. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._directory)
        self._directory.mkdir(mode=0o700, parents=True)

    @contextlib.contextmanager
    def fetch(self, release: Release) -> Iterator[Fetched]:
        """The artifact of a release, for the time of the block.

        Raises:
            ArtifactError: It could not be had, or is not what is stated.
            HostError: This disk could not take it.
        """
        path = self._directory / secrets.token_hex(8)
        try:
            try:
                stated = self._stated_beforehand(release)
                fetched = self._from_cache(release, path, stated) or self._from_source(release, path, stated)
            except OSError as error:
                raise from_os_error(error, f"fetching {release.artifact} of {release.version}") from error
            yield fetched
        finally:
            with contextlib.suppress(OSError):  # the next start takes it away
                path.unlink(missing_ok=True)

    def pin(self, needed: Iterable[Deployed]) -> None:
        """Tells a cache on this host which artifacts are needed; the first is the one that runs (R45)."""
        self._pinned = tuple(needed)
        self._pin(self._pinned)

    def _pin(self, needed: Iterable[Release | Deployed]) -> None:
        cache = self._cache
        if isinstance(cache, PinningCache):
            keys = [key for release in needed for key in (cache_key(release), cache_key(release) + _FACTS_SUFFIX)]
            self._with_cache("remembering what is in use", lambda: cache.pin(keys))

    def _from_cache(self, release: Release, path: Path, stated: Sequence[Stated]) -> Fetched | None:
        """The cached artifact, if there is one and it is still what was put there and what is stated now."""
        if self._mode == "required" and not _any_digest(stated):
            return None  # the source itself may state one
        key = cache_key(release)
        try:
            with path.open("wb") as file:
                sink = self._sink(file, release)
                digest = self._with_cache("reading an artifact", lambda: self._copy_out(key, release, sink), sink)
            if not digest:
                return None
            verify(path, release.artifact, sink.digest, [*stated, Stated(digests=(digest,))])
        except ArtifactError:
            # not what it should be any more: the store may be damaged, or the version was published anew
            self._with_cache("removing an artifact", lambda: self._cache.delete(key + _FACTS_SUFFIX))
            return None
        self._emit(ARTIFACT_CACHED, artifact=release.artifact, version=release.version, bytes=sink.size)
        return Fetched(path, sink.digest, sink.size)

    def _copy_out(self, key: str, release: Release, sink: _Sink) -> str:
        """Copies a cached artifact and returns its digest; empty if there is none that came from the same source."""
        facts = self._read_facts(key)
        if facts.get("url") != _source(release) or facts.get("fingerprint") != release.fingerprint:
            return ""
        value = self._cache.read(key)
        if value is None:
            return ""
        with value:
            shutil.copyfileobj(value, sink, _PIECE)
        return facts.get("digest") or ""

    def _read_facts(self, key: str) -> dict[str, str | None]:
        stored = self._cache.read(key + _FACTS_SUFFIX)
        if stored is None:
            return {}
        with stored:
            try:
                facts = json.loads(stored.read(_MOST_FACTS))
            except ValueError:
                return {}
        return facts if isinstance(facts, dict) else {}

    def _from_source(self, release: Release, path: Path, stated: Sequence[Stated]) -> Fetched:
        started = self._waker.monotonic()
        with path.open("wb") as file:
            sink = self._sink(file, release)
            by_source = self._download(release.url, release.artifact, sink)
        self._verify(release, path, sink.digest, [*stated, by_source])
        seconds = round(self._waker.monotonic() - started, 3)
        self._emit(
            ARTIFACT_DOWNLOADED,
            artifact=release.artifact, version=release.version, bytes=sink.size, seconds=seconds, digest=sink.digest,
        )  # fmt: skip
        fetched = Fetched(path, sink.digest, sink.size)
        self._to_cache(release, fetched)
        return fetched

    def _download(self, url: str, name: str, sink: _Sink) -> Stated:
        """Has the artifact plugin of a URL write into a sink; what the source states of the bytes."""
        plugin = str(self._plugins.find("artifact", url).plugin)
        artifact = self._plugins.artifact(url, self._context)
        try:
            return self._guard.call(
                plugin,
                f"downloading {name}",
                lambda: artifact.download(cast(BinaryIO, sink)),
                limit=_STALL,
                alive=lambda: sink.last_write,
            )
        finally:
            sink.abandoned = True

    def _stated_beforehand(self, release: Release) -> list[Stated]:
        """What the registry's listing and the checksum files beside the artifact state of it."""
        if self._mode == "off":
            return []
        stated = [Stated(release.size, release.digests)]
        for file in release.checksums:
            content = io.BytesIO()
            sink = _Sink(content, file.name, LARGEST, self._waker.monotonic, lambda _size: None)
            self._download(file.url, file.name, sink)
            stated.append(Stated(digests=parse_checksums(content.getvalue(), file.name, release.artifact)))
        return stated

    def _verify(self, release: Release, path: Path, digest: str, stated: Sequence[Stated]) -> None:
        """Holds what has arrived against what is stated. Raises ArtifactError."""
        if self._mode == "off":
            return
        if self._mode == "required" and not _any_digest(stated):
            raise ArtifactError(
                f"nothing states a digest of {release.artifact} of {release.version}",
                "Publish checksums.txt beside it, or do not ask for --verify required",
            )
        verify(path, release.artifact, digest, stated)

    def _to_cache(self, release: Release, fetched: Fetched) -> None:
        """Puts an artifact into the cache. The facts about it come last: without them it does not count."""
        key = cache_key(release)
        facts = {"digest": fetched.digest, "url": _source(release), "fingerprint": release.fingerprint}

        def put() -> None:
            self._cache.delete(key + _FACTS_SUFFIX)
            with fetched.path.open("rb") as file:
                self._cache.write(key, file)
            self._cache.write(key + _FACTS_SUFFIX, io.BytesIO(json.dumps(facts).encode()))

        if self._pinned:
            self._pin((*self._pinned, release))  # or a cache that is full makes room for it with itself
        self._with_cache("storing an artifact", put)

    def _sink(self, file: BinaryIO, release: Release) -> _Sink:
        return _Sink(
            file,
            release.artifact,
            self._max_size if release.size is None else min(self._max_size, release.size),
            self._waker.monotonic,
            lambda size: self._progress(release.artifact, size, release.size),
        )

    def _with_cache(self, what: str, call: Callable[[], T], sink: _Sink | None = None) -> T | None:
        """Has the cache do something; None when it could not, which is said once and stops nothing (R44)."""
        try:
            value = self._guard.call(
                "the cache", what, call, limit=_STALL, alive=(lambda: sink.last_write) if sink else None
            )
        except (CacheError, PluginError, OSError) as error:
            if sink and sink.error:
                raise  # it is this disk that fails, not the cache
            if self._cache_works:
                self._cache_works = False
                self._emit(CACHE_FAILED, error=str(error))
            return None
        if not self._cache_works:
            self._cache_works = True
            self._emit(CACHE_RECOVERED)
        return value


def _source(release: Release) -> str:
    """Where the artifact comes from, in a form that holds no secret: what a cached copy must agree with."""
    return hashlib.sha256(release.url.encode()).hexdigest()


def _any_digest(stated: Sequence[Stated]) -> bool:
    return any(statement.digests for statement in stated)
