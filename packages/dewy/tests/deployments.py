"""A deployer with real parts but for the process, for tests: a registry in a directory, a root, and what was said."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dewy.deployment import recover
from dewy.deployment.application import Candidate
from dewy.errors import StartError
from dewy.redaction import Redactor
from dewy.settings import Settings
from dewy.state import Deployed
from dewy.supervisor.addresses import Address
from dewy.testing import Recorder
from dewy.types import Release
from dewy.wiring import Wiring


class Processes:
    """The supervisor as the deployer sees it: versions start, or do not, as told; and die, as told."""

    addresses: Sequence[Address] = ()

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.broken: set[str] = set()
        self.spoilt: set[str] = set()
        self.serving: Deployed | None = None
        self.notifies = self.comes_again = False
        self.is_switching = False
        self._starts = 0
        self._died: tuple[int, str, StartError] | None = None

    def start(self, release: Deployed) -> None:
        self.calls.append(("start", release.version))
        self._run(release)

    def swap(self, release: Deployed, *, gives_way: bool = False) -> None:
        self.calls.append(("swap", release.version))
        self._run(release)

    def _run(self, release: Deployed) -> None:
        self._starts += 1
        if release.version in self.broken:
            raise StartError(f"{release.version} exited at once with status 1", output=("boom", "bang"))
        self.serving = release
        if release.version in self.spoilt:
            self.die(release, StartError(f"{release.version} died (exit status 3)", output=("oh",)))

    def die(self, release: Deployed, error: StartError) -> None:
        """What has been started last has died."""
        self.serving, self._died = None, (self._starts, release.directory, error)

    @contextmanager
    def switching(self) -> Iterator[None]:
        self.is_switching = True
        try:
            yield
        finally:
            self.is_switching = False

    @contextmanager
    def preflight(self, release: Deployed) -> Iterator[Candidate]:
        self.calls.append(("preflight", release.version))
        self._starts += 1
        if release.version in self.broken:
            raise StartError(f"{release.version} exited at once with status 1", output=("boom", "bang"))
        yield Trial()
        self.calls.append(("end of preflight", release.version))

    def comes_back(self) -> bool:
        return self.comes_again and self.serving is None

    def is_alone(self) -> bool:
        return True

    def starts(self) -> int:
        return self._starts

    def failure_since(self, starts: int, release: Deployed) -> StartError | None:
        if self._died is None or self._died[0] <= starts or self._died[1] != release.directory:
            return None
        return self._died[2]

    def says_ready(self) -> bool | None:
        return self.notifies if self.serving else None

    def running(self) -> Collection[str]:
        return {self.serving.directory} if self.serving else set()

    def speaks_notify(self) -> bool:
        return self.notifies


class Trial:
    """A version on private sockets that goes on and on."""

    addresses: Sequence[Address] = ()

    def ended(self) -> StartError | None:
        return None

    def output(self) -> tuple[str, ...]:
        return ("it was said",)


class World:
    """One application on one host."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.registry, self.root = directory / "registry", directory / "root"
        for path in (self.registry, self.root):
            path.mkdir()
        self.settings = Settings(
            command="server",
            root=self.root,
            registry=f"file://{self.registry}",
            environ=dict(os.environ),
            argv=("./current/app",),
            **{"bake_time": 0.0, **settings},
        )
        self.said, self.processes = Recorder(), Processes()
        self.start_dewy()

    def start_dewy(self, **settings: Any) -> None:
        """A new dewy on the same disk, as after a restart; the old one is simply gone."""
        self.settings = replace(self.settings, **settings)
        self.redactor = Redactor()
        self.wiring = Wiring.of(self.settings, self.redactor, self.said)
        self.deployer = self.wiring.deployer(self.processes, self.wiring.load_state(), lambda *_: None)
        self.pipeline = self.deployer.pipeline

    def publish(self, version: str, content: bytes = b"", name: str = "shop.tar.gz") -> Path:
        """A version whose artifact holds ``app`` with the version (or the content) in it, moved into place."""
        folder = self.registry / version
        folder.mkdir(exist_ok=True)
        incoming = folder / f".{name}.part"
        with tarfile.open(incoming, "w:gz") as archive:
            member = tarfile.TarInfo("app")
            body = b"#!/bin/sh\n" + (content or version.encode())
            member.size, member.mode = len(body), 0o755
            archive.addfile(member, io.BytesIO(body))
        return incoming.rename(folder / name)

    def withdraw(self, version: str) -> None:
        # by one rename: dewy may be about to put its audit entry there
        shutil.rmtree((self.registry / version).rename(self.registry.with_name(f"withdrawn-{version}")))

    def recover(self) -> None:
        """What the first step of a new dewy does."""
        recover(self.pipeline)

    def offered(self) -> Release:
        return self.wiring.registry.current()

    def deploy(self) -> None:
        self.pipeline.deploy(self.offered(), "the test says so")

    def run(self, until: Any, seconds: float = 20) -> None:
        """Runs the deployer's loop in its thread until a condition holds."""
        waker = self.wiring.runtime.waker
        thread = threading.Thread(target=self.deployer.run, daemon=True)
        thread.start()
        try:
            held = threading.Event()
            for _ in range(int(seconds * 50)):
                if until():
                    break
                held.wait(0.02)
            else:
                raise AssertionError(f"it did not happen; said: {self.said.texts()[-20:]}")
        finally:
            waker.stop()
            thread.join(10)

    def serving(self) -> str:
        """What ``current`` leads to."""
        return (self.root / "current" / "app").read_text().split("\n")[1]

    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.root / "releases").iterdir())

    def leftovers(self) -> list[str]:
        """Temporary files that should not be there."""
        seen = [*(self.root / "releases").glob(".*"), *(self.root / ".dewy" / "tmp").iterdir(), *self.root.glob(".current*")]
        return [str(path) for path in [*seen, *(self.root / ".dewy").glob(".*.tmp")]]
