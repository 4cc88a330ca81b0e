"""From a release to verified bytes on this disk: out of the cache, or downloaded and put there.

Whatever the way, what is handed on is a private copy whose digest was taken as it was written, and which matches
everything that is stated of it (invariant 4).
"""

from __future__ import annotations

import contextlib
import io
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from dewy.checksums import LARGEST, parse_checksums
from dewy.digests import verify
from dewy.errors import ArtifactError, DamagedError, DewyError, from_os_error
from dewy.events import ARTIFACT_CACHED, ARTIFACT_DAMAGED, ARTIFACT_DOWNLOADED
from dewy.keeping import Keeping, SharedKeeping
from dewy.runtime import Runtime
from dewy.sharing.downloads import Downloads
from dewy.sharing.health import CacheHealth, Paused
from dewy.sink import Sink, Watched
from dewy.state import Deployed
from dewy.types import Release, Stated

__all__ = ["Fetched", "Fetcher", "Progress"]

T = TypeVar("T")

_STALL = 60.0
"""Seconds without a byte after which a download or a cache counts as hung."""

Progress = Callable[[str, int, int | None], None]
"""Is told an artifact's name, the bytes so far and the bytes in all, when known. Called often."""


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


class Fetcher:
    """Gets artifacts.

    Args:
        runtime: What the parts of dewy share.
        keeping: How the cache keeps artifacts.
        health: Whether it works.
        downloads: Whose turn it is to download, where hosts share the cache.
        progress: Is told how far a download is.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        keeping: Keeping,
        health: CacheHealth,
        downloads: Downloads | None,
        progress: Progress,
    ) -> None:
        self._plugins, self._context = runtime.plugins, runtime.context
        self._guard, self._waker, self._emit = runtime.guard, runtime.waker, runtime.emit
        self._directory = runtime.settings.state_directory / "tmp"
        self._max_size, self._mode = runtime.settings.max_size, runtime.settings.verify
        self._progress = progress
        self._keeping, self._health, self._downloads = keeping, health, downloads
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
            Interrupted: An operator's command goes first.
        """
        path = self._directory / secrets.token_hex(8)
        try:
            try:
                with self._waker.interruptible():
                    stated = self._stated_beforehand(release)
                    fetched = self._obtain(release, path, stated)
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

    def resolved(self, release: Release) -> Release:
        """The release with what the checksum files beside it state, so that no other host need read them.

        Where they cannot be read, it stays as it is: whoever deploys it reads them, and says what is wrong.
        """
        try:
            stated = self._stated_beforehand(release)
        except (DewyError, OSError):
            return release
        digests = dict.fromkeys(digest for statement in stated for digest in statement.digests)
        return replace(release, digests=tuple(digests), checksums=()) if stated else release

    def _pin(self, needed: Sequence[Release | Deployed]) -> None:
        if self._keeping.pins:
            self._with_cache("remembering what is in use", lambda: self._keeping.pin(needed))

    def _obtain(self, release: Release, path: Path, stated: Sequence[Stated]) -> Fetched:
        if self._mode == "required" and not _any_digest(stated):
            # Only the source itself may state one, as it sends the bytes. What a store says that some host was told cannot
            # stand in for that: who can write to the store would choose the bytes and their digest too.
            return self._from_source(release, path, stated)
        return self._from_cache(release, path, stated) or self._in_turn(release, path, stated)

    def _in_turn(self, release: Release, path: Path, stated: Sequence[Stated]) -> Fetched:
        """Downloads it, or has what another host has downloaded meanwhile."""
        if not isinstance(self._keeping, SharedKeeping) or self._downloads is None:
            return self._from_source(release, path, stated)
        with self._downloads.turn(self._keeping.key(release), release):
            return self._from_cache(release, path, stated) or self._from_source(release, path, stated)

    def _from_cache(self, release: Release, path: Path, stated: Sequence[Stated]) -> Fetched | None:
        """The cached artifact, if there is one and it is still what was put there and what is stated now."""
        try:
            with path.open("wb") as file:
                sink = self._sink(file, release)
                digest = self._with_cache("reading an artifact", lambda: self._keeping.copy_out(release, sink), sink)
            if not digest:
                return None
            verify(path, release.artifact, sink.digest, [*stated, Stated(digests=(digest,))])
        except (ArtifactError, DamagedError) as error:
            # not what it should be any more: the store may be damaged, or the version was published anew
            self._emit(ARTIFACT_DAMAGED, artifact=release.artifact, version=release.version, error=str(error))
            self._with_cache("removing an artifact", lambda: self._keeping.discard(release))
            return None
        self._emit(ARTIFACT_CACHED, artifact=release.artifact, version=release.version, bytes=sink.size)
        return Fetched(path, sink.digest, sink.size)

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

    def _download(self, url: str, name: str, sink: Sink) -> Stated:
        """Has the artifact plugin of a URL write into a sink; what the source states of the bytes."""
        plugin = str(self._plugins.find("artifact", url).plugin)
        artifact = self._plugins.artifact(url, self._context)
        try:
            return self._guard.call(
                plugin,
                f"downloading {name}",
                lambda: artifact.download(cast(BinaryIO, sink)),
                limit=_STALL,
                alive=lambda: sink.last_sign,
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
            sink = Sink(content, file.name, LARGEST, self._waker.monotonic, lambda _size: None)
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
        if self._pinned:
            self._pin((*self._pinned, release))  # or a cache that is full makes room for it with itself
        with fetched.path.open("rb") as file:
            watched = Watched(file, self._waker.monotonic, self._keeping.head(fetched.digest))
            source = cast(BinaryIO, watched)
            self._with_cache("storing an artifact", lambda: self._keeping.store(release, fetched.digest, source), watched)

    def _sink(self, file: BinaryIO, release: Release) -> Sink:
        return Sink(
            file,
            release.artifact,
            self._max_size if release.size is None else min(self._max_size, release.size),
            self._waker.monotonic,
            lambda size: self._progress(release.artifact, size, release.size),
        )

    def _with_cache(self, what: str, call: Callable[[], T], moving: Sink | Watched | None = None) -> T | None:
        """Has the cache do something; None when it could not, which is said once and stops nothing (R44).

        Raises ArtifactError or DamagedError for what was kept and is wrong, and OSError when this disk fails.
        """
        alive = (lambda: moving.last_sign) if moving else None
        try:
            if self._downloads:
                self._health.check()  # or each step of a deployment waits for the time-outs of a store that is down
            value = self._guard.call("the cache", what, call, limit=_STALL, alive=alive)
        except (DewyError, OSError) as error:
            if isinstance(moving, Sink) and (moving.error or isinstance(error, ArtifactError | DamagedError)):
                raise  # it is this disk that fails, or what was kept: not the cache as a whole
            if not isinstance(error, Paused):
                self._health.failed(error)
            return None
        self._health.worked()
        return value


def _any_digest(stated: Sequence[Stated]) -> bool:
    return any(statement.digests for statement in stated)
