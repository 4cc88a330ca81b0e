"""Hosts of a fleet in one process: each with its own clock, guard and connection to the store they share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dewy.backends.bounds import Bounds
from dewy.context import PluginContext
from dewy.errors import CacheError
from dewy.guard import Guard
from dewy.keyvalue.cache import WatchableKeyValueCache
from dewy.plugins import Plugin, Plugins, load_plugins
from dewy.redaction import Redactor
from dewy.runtime import Runtime
from dewy.settings import Settings
from dewy.sharing.claims import Claims
from dewy.sharing.health import CacheHealth
from dewy.sharing.news import News
from dewy.sharing.registry import SharedRegistry, Sharing
from dewy.sharing.upkeep import Upkeep
from dewy.sharing.values import SharedValues
from dewy.testing import Recorder
from dewy.types import Artifact, Backend, Platform, Release, Report
from dewy.waker import Waker
from kv_store import BACKEND, DictStore

PLATFORM = Platform("linux", "amd64")


@dataclass
class Upstream:
    """A registry that counts how often it is asked, and does what a test tells it to."""

    release: Release | Exception
    calls: list[float] = field(default_factory=list)
    during: Callable[[], None] = lambda: None
    reports: list[Report] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def current(self, platform: Platform) -> Release:
        with self.lock:
            self.calls.append(time.monotonic())
        self.during()
        if isinstance(self.release, Exception):
            raise self.release
        return self.release

    def report(self, report: Report) -> None:
        self.reports.append(report)


def waits_for(event: threading.Event) -> Callable[[], None]:
    """Something that takes until an event, or a minute."""

    def wait() -> None:
        event.wait(60)

    return wait


def release_of(version: str, **facts: object) -> Release:
    return Release(version=version, artifact="app.tar.gz", url=f"https://example.com/{version}/app.tar.gz", **facts)  # type: ignore[arg-type]


class Host:
    """One host of a fleet. ``skew`` seconds is how far its clocks, both of them, are from those of the others."""

    def __init__(self, store: DictStore, upstream: Upstream, *, ttl: float = 30.0, life: float = 15.0, skew: float = 0.0):
        self.store = store.connect()
        self.said = Recorder()
        self.offset = skew
        self.waker = Waker(lambda: time.monotonic() + self.offset)
        self.guard = Guard(self.waker)
        self.cache = WatchableKeyValueCache(self.store, "dewy/", Bounds(20, 1 << 30), 3600.0)
        self.health = CacheHealth(self.said, self.waker.monotonic)
        self.values = SharedValues(self.cache, self.guard, self.health)
        self.claims = Claims(self.values, self.waker, life)
        self.resolved: list[str] = []
        self.upstream = upstream
        sharing = Sharing(
            values=self.values, claims=self.claims, identity="app", ttl=ttl, resolve=self.resolve,
            emit=self.said, monotonic=self.waker.monotonic,
        )  # fmt: skip
        self.registry = SharedRegistry(upstream, sharing)
        self.news = News(self.cache, self.values, "app", self.waker, self.guard, self.said)

    def resolve(self, release: Release) -> Release:
        self.resolved.append(release.version)
        return release

    def current(self) -> Release:
        return self.registry.current(PLATFORM)

    def later(self, seconds: float) -> None:
        """Lets time go by for this host."""
        self.offset += seconds

    def cut_off(self) -> None:
        """Takes the store away from this host."""

        def refuse(operation: str, key: str) -> None:
            raise CacheError("no way to the store")

        self.store.before = refuse

    def upkeep(self, in_use: Callable[[], list[str]] = list, every: float = 0.02) -> Upkeep:
        return Upkeep(
            cache=self.cache, claims=self.claims, guard=self.guard, waker=self.waker, emit=self.said, in_use=in_use,
            every=every,
        )  # fmt: skip

    def reconnect(self) -> None:
        self.store.before = lambda _operation, _key: None


def runtime_of(root: Path, cache: str, artifacts: Iterable[Backend[Artifact]] = (), **settings: Any) -> Runtime:
    """What the parts of a running dewy share, with a ``dict://`` cache and more artifact backends among its plugins."""
    chosen = Settings(command="assets", root=root, registry=f"file://{root}", environ={}, cache=cache, **settings)
    extra = Plugin("test", "test", "1", "loaded", backends={"cache": (BACKEND,), "artifact": tuple(artifacts)})
    waker = Waker()
    context = PluginContext({}, root / "cache", Redactor(), waker.pause)
    return Runtime(chosen, Plugins([*load_plugins({}).all, extra]), context, waker, Guard(waker), Recorder())


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
