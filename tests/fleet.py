"""A fleet in one test: real ``dewy assets`` processes, or registries in this process, that share one cache."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dewy.errors import DewyError
from dewy.guard import Guard
from dewy.plugins import load_plugins
from dewy.sharing.claims import Claims
from dewy.sharing.health import CacheHealth
from dewy.sharing.registry import SharedRegistry, Sharing
from dewy.sharing.values import SharedValues
from dewy.testing import Recorder, TestContext
from dewy.types import AtomicCache, Platform, Release, Report
from dewy.waker import Waker
from ghr_github import Fault, GitHub
from ghr_wire import Answer, Request
from publishing import pack
from running import Running, environment, eventually

NAME = "site_linux_amd64.tar.gz"


def site(version: str, size: int = 0) -> bytes:
    """A release archive of static files."""
    return pack({"VERSION": (version.encode(), 0o644), "padding": (random.Random(version).randbytes(size), 0o644)})


@dataclass
class Upstream:
    """A GitHub, and what it was asked."""

    server: GitHub
    hanging: int = 0
    free: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Answers what hangs, with an error."""
        self.free.set()

    def hang(self, role: str) -> None:
        """The next request to the API or to the storage is not answered until :meth:`go_on`."""
        self.free.clear()

        def noted(_request: Request) -> Answer:
            self.hanging += 1
            self.free.wait(60)
            return Answer(503)

        fits: Callable[[Request], bool] = lambda request: request.role == role and request.method == "GET"  # noqa: E731
        self.server.faults.append(Fault(fits, noted, 1))

    def publish(self, version: str, content: bytes | None = None) -> None:
        self.server.publish(version, {NAME: content or site(version)})

    @property
    def listings(self) -> int:
        """How often somebody asked which releases there are."""
        return self._answered("api", "/releases?")

    @property
    def downloads(self) -> int:
        """How often somebody fetched an artifact."""
        return self._answered("storage", "/")

    def _answered(self, role: str, where: str) -> int:
        return sum(
            request.role == role and request.method == "GET" and where in request.target and status in (200, 206, 304)
            for request, status in list(self.server.seen)
        )


@contextmanager
def opened_upstream() -> Iterator[Upstream]:
    """A GitHub for the time of the block; at its end nothing hangs any more."""
    with GitHub() as server:
        upstream = Upstream(server)
        try:
            yield upstream
        finally:
            upstream.go_on()


class Hosts:
    """Hosts of a fleet: one dewy process each, with a root of its own."""

    def __init__(self, folder: Path, upstream: Upstream, cache: str, *, interval: float = 0.3, **environ: str) -> None:
        self._folder, self._upstream, self._cache, self._interval = folder, upstream, cache, interval
        self._environ = environ
        self.processes: list[Running] = []

    def start(self, number: int, cache: str | None = None) -> list[Running]:
        """Starts more hosts, which may see the store under another address."""
        started = []
        for _ in range(number):
            root = self._folder / f"host{len(self.processes)}"
            root.mkdir()
            process = Running(
                [
                    "assets", "--registry", self._upstream.server.url, "--cache", cache or self._cache,
                    "-i", f"{self._interval}s", "-C", str(root),
                ],
                **self._upstream.server.environ, **self._environ,
            )  # fmt: skip
            self.processes.append(process)
            started.append(process)
        return started

    def version(self, number: int) -> str:
        """What a host serves."""
        try:
            return (self._folder / f"host{number}" / "current" / "VERSION").read_text()
        except FileNotFoundError:
            return ""

    def versions(self) -> set[str]:
        """What the hosts that run serve."""
        return {self.version(n) for n, process in enumerate(self.processes) if process.process.poll() is None}

    def wait_for(self, version: str, seconds: float = 60) -> None:
        """Waits until all hosts serve a version."""
        eventually(lambda: self.versions() == {version}, seconds, f"{version} on all hosts ({sorted(self.versions())})")

    def deployed(self, number: int) -> list[str]:
        """All that a host has deployed, in order."""
        return [str(event["version"]) for event in self.processes[number].of("deployment.done")]

    def stop(self) -> None:
        for process in self.processes:
            if process.process.poll() is None:
                process.process.terminate()
        for process in self.processes:
            process.stop()


@contextmanager
def hosts(upstream: Upstream, cache: str, **settings: Any) -> Iterator[Hosts]:
    """A fleet for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        fleet = Hosts(Path(folder), upstream, cache, **settings)
        try:
            yield fleet
        finally:
            fleet.stop()


# ------------------------------------------------------------------------------------------------------- in this process


@dataclass
class Counting:
    """A registry that counts how often it is asked."""

    version: str = "v1.0.0"
    seconds: float = 0.05
    asked: list[float] = field(default_factory=list)

    def current(self, platform: Platform) -> Release:
        self.asked.append(time.monotonic())
        time.sleep(self.seconds)
        return Release(version=self.version, artifact=NAME, url=f"https://example.com/{self.version}/{NAME}")

    def report(self, report: Report) -> None:
        """Nothing to do."""


def open_cache(url: str, folder: Path) -> AtomicCache:
    """Opens a cache as dewy does."""
    environ = environment()
    return cast(AtomicCache, load_plugins(environ).cache(url, TestContext(folder, environ)))


def wait_for_signs_of_life(cache: AtomicCache, number: int) -> None:
    """Waits until the host that asks the registry for all has shown so many times that it lives."""
    seen: set[bytes] = set()

    def shown() -> bool:
        seen.add(_sign_of_life(cache))
        return len(seen) > number

    eventually(shown, 60, f"{number} signs of life")


def _sign_of_life(cache: AtomicCache) -> bytes:
    (claim,) = [key for key in cache.keys() if key.startswith("claims/answer ")]  # noqa: SIM118 - no dict
    stream = cache.read(claim)
    assert stream
    with stream:
        return stream.read()


class Members:
    """Many registries in this process that share one cache over a few connections."""

    def __init__(self, number: int, url: str, upstream: Counting, folder: Path, *, ttl: float, pools: int = 10) -> None:
        caches = [open_cache(url, folder) for _ in range(pools)]
        self.seen: list[list[str]] = [[] for _ in range(number)]
        self.failures: list[str] = []
        self._registries = [self._member(upstream, caches[index % pools], ttl) for index in range(number)]

    @staticmethod
    def _member(upstream: Counting, cache: AtomicCache, ttl: float) -> SharedRegistry:
        waker, said = Waker(), Recorder()
        guard = Guard(waker)
        values = SharedValues(cache, guard, CacheHealth(said, waker.monotonic))
        sharing = Sharing(
            values=values, claims=Claims(values, waker), identity="fleet", ttl=ttl, resolve=lambda release: release,
            emit=said, monotonic=waker.monotonic,
        )  # fmt: skip
        return SharedRegistry(upstream, sharing)

    def poll(self, version: str, threads: int = 40) -> None:
        """Has every member ask again and again, side by side, until all have been told a version."""
        with ExitStack() as stack:
            for share in range(threads):
                thread = threading.Thread(target=self._work, args=(share, threads, version, time.monotonic() + 60))
                thread.start()
                stack.callback(thread.join)

    def _work(self, share: int, of: int, version: str, deadline: float) -> None:
        while time.monotonic() < deadline and not all(seen[-1:] == [version] for seen in self.seen):
            for index in range(share, len(self._registries), of):
                try:
                    told = self._registries[index].current(Platform("linux", "amd64")).version
                except DewyError as error:
                    self.failures.append(str(error))
                    continue
                if self.seen[index][-1:] != [told]:
                    self.seen[index].append(told)
