"""A host on which dewy runs for hours in a moment: a real deployer, disk and registry; the processes are simulated."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments import World
from dewy.errors import DewyError
from dewy.events import DEPLOYMENT_DONE, JOURNAL_FAILED, EventKind
from dewy.journal import Journal, JournalRecorder
from dewy.plugins import Plugins, load_plugins
from dewy.scope import facts
from dewy.testing import Recorder
from dewy.types import Event, FieldValue
from dewy.waker import Interrupted
from simulated_processes import Applications, Build, Health, Hooks, Witness
from simulation import Clock, Disk, Killed, SimulatedWaker

BAKE = 10.0
INTERVAL = 30.0
ARTIFACT = "shop.tar.gz"


class Said(Recorder):
    """What dewy says: written into the journal, and told."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._journal = JournalRecorder(host.journal, self)
        self.lost = False
        """Whether the journal may lack something since the last deployment that is in it."""

    def __call__(self, kind: EventKind, /, **fields: FieldValue) -> None:
        self._host.disk.alive()
        super().__call__(kind, **fields)
        self.lost = self.lost or kind is JOURNAL_FAILED
        self._host.witness.heard(kind, fields)
        self._host.served = self._host.served or kind is DEPLOYMENT_DONE
        if kind.recorded:
            text, at = kind.text.format_map(fields), self._host.clock.now()
            self._journal(Event(name=kind.name, level=kind.level, text=text, at=at, fields={**facts(), **fields}))


@functools.cache
def _plugins() -> Plugins:
    return load_plugins(os.environ)


class Host(World):
    """One application on one host, dewy on it, and the registry that it asks.

    Attributes:
        clock: The time there.
        disk: Its disk.
        journal: Its history.
        builds: All that was ever published, by its serial number.
        violations: What must not have happened.
        hooks_refuse: Whether the before-hook says no.
        served: Whether a version was ever deployed.
        up: Whether dewy runs.
        kept: What dewy has said, whichever dewy it was.
    """

    processes: Applications

    def __init__(self, directory: Path, witness: Witness, *, health: bool, preflight: bool) -> None:
        self.clock, self.witness = Clock(), witness
        self.disk = Disk(directory / "root", self.clock, self._look)
        self.journal = Journal(directory / "root" / ".dewy")
        self.builds: dict[str, Build] = {}
        self.kept = Said(self)
        self.violations: list[str] = []
        self.hooks_refuse = self.up = self.served = False
        self._complete: set[str] = set()
        self._patch = pytest.MonkeyPatch()
        self._simulate()
        super().__init__(
            directory, bake_time=BAKE, interval=INTERVAL, keep_releases=3,
            health_command="ask it" if health else "", preflight=preflight,
        )  # fmt: skip

    def _simulate(self) -> None:
        moment = SimpleNamespace(now=lambda _zone: self.clock.now())
        for name, value in {
            "wiring.Waker": lambda: SimulatedWaker(self.clock, self.disk.alive),
            "wiring.datetime": moment,
            "deployment.stage.datetime": moment,
            "wiring.load_plugins": lambda _environ: _plugins(),
            "deployment.proof.health_check": lambda runtime: Health(self) if runtime.settings.health_command else None,
            "hooks.calling.ShellHooks": lambda _runtime: Hooks(self),
        }.items():
            self._patch.setattr(f"dewy.{name}", value)
        self.disk.install(self._patch)

    def close(self) -> None:
        """The simulation is over."""
        self._patch.undo()

    def blame(self, what: str) -> None:
        """Notes what must not have happened."""
        self.violations.append(f"{self.clock.monotonic():.1f}s: {what}")

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        """Has something happen that dewy does not do."""

        def happen() -> None:
            with self.disk.watched(by=False):
                what()

        self.clock.later(seconds, happen)

    # -------------------------------------------------------------------------------------------------- what dewy does

    def start_dewy(self, **settings: Any) -> None:
        """See :class:`World`."""
        self.said = self.kept
        self.processes = Applications(self)
        self.disk.filled = self.processes.thirst
        super().start_dewy(**settings)
        self._step: Callable[[], float] = self.deployer._boot
        self.up = True

    def go_on(self, seconds: float, after_each: Callable[[], None]) -> None:
        """Lets time go by, and dewy do what it does."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            try:
                with self.disk.watched():
                    self._turn()
            except Killed:
                self._bury()
            after_each()

    def _turn(self) -> None:
        """One turn of the deployer's loop, as in :meth:`dewy.deployer.Deployer.run`; or dewy is started first."""
        if not self.up:
            try:
                self.start_dewy()
            except DewyError:  # the service manager tries again
                self.clock.pass_by(5.0)
                return
        deployer, waker = self.deployer, self.wiring.runtime.waker
        with suppress(Interrupted):
            wait, done = deployer._guarded(self._step)
            if done:
                self._step = deployer._poll
            waker.sleep(wait)
        deployer._serve()

    def _bury(self) -> None:
        """dewy is dead, and what it ran with it."""
        self.up, self.kept.lost, self.processes.gone = False, True, True
        self.processes.serving = self.processes.runs = None
        self.clock.pass_by(1.0)
        self.disk.revive()

    def crash(self) -> None:
        """What serves dies."""
        self.processes.crash()

    # ---------------------------------------------------------------------------------------------- what is on the disk

    def current_name(self) -> str | None:
        """The name of the release directory that ``current`` leads to."""
        try:
            return (self.root / "current").readlink().name
        except OSError:
            return None

    def current_build(self) -> Build | None:
        """What ``current`` leads to."""
        name = self.current_name()
        return None if name is None else self.build_in(name)

    def build_in(self, name: str) -> Build | None:
        """What is in a release directory: all of one build, or it is noted."""
        release = self.root / "releases" / name
        try:
            serials = {(release / member).read_text() for member in ("app", "lib/part", "last")}
        except OSError as error:
            self.blame(f"{name} is no complete release: {error}")
            return None
        if len(serials) != 1 or not serials <= set(self.builds):
            self.blame(f"{name} is what was never published: {serials}")
            return None
        return self.builds[serials.pop()]

    def _look(self) -> None:
        """At every instant ``current`` leads to a complete release (R71)."""
        name = self.current_name()
        if name is None:
            if self.served:
                self.blame("current is not there any more")
        elif name not in self._complete:
            if self.build_in(name):
                self._complete.add(name)
        elif not (self.root / "releases" / name / "last").exists():
            self.blame(f"current leads to {name}, which is not there any more")

    # --------------------------------------------------------------------------------------------------- the registry

    def release(self, version: str, nature: str, *, wrong: str = "") -> Build:
        """Publishes a version, in place of what it was; ``wrong``: its ``archive`` or its ``checksum`` is."""
        serial = str(len(self.builds) + 1)
        content = _archive(serial)
        if wrong == "archive":
            content = content[: len(content) // 2]
        build = Build(version, serial, nature, f"sha256:{hashlib.sha256(content).hexdigest()}", content)
        self.builds[serial] = build
        checksum = build.digest.removeprefix("sha256:") if wrong != "checksum" else "0" * 64
        self.announce(version, f"{checksum}  {ARTIFACT}\n" if wrong == "checksum" else "")
        self.put(build)
        return build

    def announce(self, version: str, checksums: str = "") -> None:
        """The version is there, its artifact not yet."""
        folder = self.registry_now() / version
        folder.mkdir(exist_ok=True)
        (folder / "checksums.txt").unlink(missing_ok=True)
        if checksums:
            (folder / "checksums.txt").write_text(checksums)
        self._touch(folder)

    def put(self, build: Build) -> None:
        """Uploads an artifact, perhaps the same bytes once more."""
        folder = self.registry_now() / build.version
        incoming = folder / ".upload.part"
        incoming.write_bytes(build.content)
        self._touch(incoming)
        incoming.rename(folder / ARTIFACT)
        self._touch(folder)

    def take_away(self, version: str, *, wholly: bool) -> None:
        """Deletes a version; with ``wholly=False`` dewy's own audit entries are left of it, if there are any."""
        folder = self.registry_now() / version
        (folder / ARTIFACT).unlink(missing_ok=True)
        (folder / "checksums.txt").unlink(missing_ok=True)
        if wholly or not any(folder.iterdir()):
            shutil.rmtree(folder)

    def registry_now(self) -> Path:
        """Where the registry is, also while dewy does not reach it."""
        away = self.registry.with_name("away")
        return away if away.exists() else self.registry

    def reach(self, *, registry: bool) -> None:
        """The registry is there from now on, or it is not."""
        away = self.registry.with_name("away")
        if registry and away.exists():
            away.rename(self.registry)
        elif not registry and self.registry.exists():
            self.registry.rename(away)

    def _touch(self, path: Path) -> None:
        seconds = int(self.clock.now().timestamp() * 1e9) + len(self.builds)
        os.utime(path, ns=(seconds, seconds))


@functools.cache
def _archive(serial: str) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file, tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("app", "lib/part", "last"):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(serial), 0o755
            archive.addfile(member, io.BytesIO(serial.encode()))
    return packed.getvalue()
