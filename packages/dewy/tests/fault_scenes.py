"""What a host goes through while a fault strikes, and what must hold of it whatever the fault was."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import stat
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments import Processes, World
from dewy import events
from dewy.lock import RootLock
from dewy.redaction import Redactor
from dewy.settings import Settings
from dewy.state import Deployed, State
from dewy.statefile import StateFile
from dewy.testing import Recorder
from dewy.types import FieldValue
from dewy.waker import Stopping, Waker
from dewy.wiring import Wiring
from fault_layer import Life, nobody
from fault_steps import Fault, Killed, Step
from http_server import Connection, Request

__all__ = ["LAST", "NETWORK", "SCENES", "Host", "QuickWaker", "Scene", "contents", "plugin_of", "serving", "tree"]

LAST = "v2.0.0"
"""The good version that is published when a trial is over."""

_FREED_AFTER = 3
"""Polls after which somebody has made room on a full disk."""
_HOOK = 'echo "$DEWY_HOOK $DEWY_DEPLOYMENT $DEWY_VERSION" >> hooks.log'


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One thing that happens on a host.

    Attributes:
        name: What.
        begins: What has run there before, oldest first.
        publishes: The version that appears.
        fate: What becomes of it when it runs.
        kills: Whether dewy was killed in the midst of it before: at the first step of that name.
        rolls_back: Whether an operator goes back.
        watches: What of it: what follows the start of dewy, the ``start`` alone, or ``both``.
        since: The first step that is no other than in the scene before.
        ends: The versions of which one must run at the end.
    """

    name: str
    begins: tuple[str, ...]
    publishes: str = ""
    fate: str = "good"
    kills: tuple[str, str] | None = None
    rolls_back: bool = False
    watches: str = "rest"
    since: str = ""
    ends: tuple[str, ...]


_TWO, _SWITCH = ("v1.0.0", "v1.1.0"), "symlink root/.current.next #1"
SCENES = (
    Scene(name="first", begins=(), publishes="v1.0.0", watches="both", ends=("v1.0.0",)),
    Scene(name="next", begins=_TWO, publishes="v1.2.0", ends=("v1.2.0",)),
    Scene(name="broken", begins=_TWO, publishes="v1.2.0", fate="broken", since=_SWITCH, ends=("v1.1.0",)),
    Scene(name="spoilt", begins=_TWO, publishes="v1.2.0", fate="spoilt", since=_SWITCH, ends=("v1.1.0",)),
    Scene(name="rollback", begins=_TWO, rolls_back=True, ends=_TWO),
    Scene(name="restart", begins=_TWO, watches="both", ends=("v1.1.0",)),
    Scene(name="resumed", begins=_TWO, publishes="v1.2.0", kills=("fsync", "root"), watches="start", ends=("v1.2.0",)),
)
NETWORK = Scene(name="network", begins=_TWO, publishes="v1.2.0", ends=("v1.2.0",))
"""As ``next``, from a web server."""


# --------------------------------------------------------------------------------------------------------- releases


@functools.cache
def artifact(version: str) -> bytes:
    """A small archive that has something of everything."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text, mode in (("app", f"#!/bin/sh\n{version}\n", 0o755), ("lib/words", f"words of {version}\n", 0o644)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), mode
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("words")
        link.type, link.linkname = tarfile.SYMTYPE, "lib/words"
        archive.addfile(link)
    return content.getvalue()


def contents(version: str) -> dict[str, object]:
    """What a release directory of it holds."""
    return {
        "app": (0o755, f"#!/bin/sh\n{version}\n"), "lib": 0o755, "lib/words": (0o644, f"words of {version}\n"),
        "words": "lib/words",
    }  # fmt: skip


def tree(directory: Path) -> dict[str, object]:
    """What a directory holds, every byte and permission of it."""
    found: dict[str, object] = {}
    for path in sorted(directory.rglob("*")):
        mode, name = path.lstat().st_mode, str(path.relative_to(directory))
        if stat.S_ISLNK(mode):
            found[name] = str(path.readlink())
        else:
            found[name] = (stat.S_IMODE(mode), path.read_text()) if stat.S_ISREG(mode) else stat.S_IMODE(mode)
    return found


def plugin_of() -> str:
    """The source of a plugin whose registry is a web server."""
    return """
        from dewy.hookspecs import hookimpl
        from dewy.types import CATALOG_OPTIONS, Backend, ListedFile, ListedVersion

        class Shelf:
            def __init__(self, address, context):
                self.address, self.context = address, context

            def index(self):
                return self.context.http.get(self.address + "/index").json()

            def versions(self):
                return [ListedVersion(tag) for tag in self.index()]

            def files(self, version):
                files = self.index()[version.tag]
                return [ListedFile(name, f"{self.address}/{version.tag}/{name}", size) for name, size in files.items()]

        @hookimpl
        def dewy_registries():
            def open_shelf(url, context):
                return Shelf(f"http://{url.host}:{url.port}", context)

            return [Backend(schemes=("shelf",), summary="a test", examples=("shelf://127.0.0.1:80",), open=open_shelf,
                            options=CATALOG_OPTIONS)]
    """


def serving(registry: Path) -> Callable[[Request, Connection], None]:
    """What the web server says: what is in a directory."""

    def answer(request: Request, connection: Connection) -> None:
        if request.target == "/index":
            index = {
                folder.name: {path.name: path.stat().st_size for path in folder.iterdir()} for folder in registry.iterdir()
            }
            connection.answer(body=json.dumps(index).encode())
        else:
            connection.answer(body=(registry / request.target[1:]).read_bytes())

    return answer


# -------------------------------------------------------------------------------------------------------------- host


class QuickWaker(Waker):
    """Time flies while the deployer sleeps: what has failed is due again."""

    def __init__(self) -> None:
        self._ahead = 0.0
        super().__init__(lambda: time.monotonic() + self._ahead)
        self.slept: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self._ahead += 1000.0
        self.slept()

    def pause(self, seconds: float) -> None:
        self._ahead += seconds
        if self.stopped:
            raise Stopping


class Supervised(Processes):
    """The process beside one dewy."""

    def __init__(self, host: Host, life: Life) -> None:
        super().__init__()
        self._host, self._life = host, life
        self.broken, self.spoilt = host.fates["broken"], host.fates["spoilt"]

    def _run(self, release: Deployed) -> None:
        self._life.check()
        self._host.history.append(("run", release.version))
        with nobody():
            found = tree(self._host.root / "current")
        assert found == contents(release.version), "what is started is not what current leads to"
        super()._run(release)


class Host(World):
    """One application on one host, whose dewys come and go.

    Args:
        directory: Where its root and the registry are.
        templates: Where disks to begin with are kept.
        registry: The URL of the registry; empty for the directory itself.
    """

    def __init__(self, directory: Path, templates: Path, registry: str = "") -> None:
        self.directory, self._templates, self.most_polls = directory, templates, 16
        self.registry, self.root = directory / "registry", directory / "root"
        self.settings = Settings(
            command="server", root=self.root, registry=registry or f"file://{self.registry}",
            environ={"PATH": os.environ["PATH"]}, argv=("./current/app",), interval=0.1, bake_time=0.0, keep_releases=2,
            hook_timeout=10.0, before_hook=_HOOK, after_hook=_HOOK, rollback_hook=_HOOK,
        )  # fmt: skip
        self.forget()

    def forget(self) -> None:
        """What was said and done is another host's."""
        self.said, self.history = Recorder(), list[tuple[str, str]]()
        self.fates: dict[str, set[str]] = {"good": set(), "broken": set(), "spoilt": set()}
        self.when_quiet: Callable[[], None] | None = None
        self.ended = ""

    def publish(self, version: str, content: bytes = b"", name: str = "shop.tar.gz") -> Path:
        folder = self.registry / version
        folder.mkdir()
        (folder / f".{name}.part").write_bytes(content or artifact(version))
        return (folder / f".{name}.part").rename(folder / name)

    # --------------------------------------------------------------------------------------------------- how it begins

    def begin(self, scene: Scene) -> None:
        """The disk as a scene finds it."""
        self._goes_on, template = True, self._templates / scene.name
        if not template.exists():
            self._make(scene)
            shutil.copytree(self.directory, template, symlinks=True)
        self._clear()
        shutil.copytree(template, self.directory, symlinks=True, dirs_exist_ok=True)
        self.forget()
        self.fates[scene.fate].add(scene.publishes)
        self._goes_on, self._has_run = scene.watches != "start", bool(scene.begins)

    def _clear(self) -> None:
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def _make(self, scene: Scene) -> None:
        self._clear()
        self.root.mkdir(parents=True)
        self.registry.mkdir()
        self.forget()
        for version in scene.begins:
            self.publish(version)
            self.live(Life(self.directory))
        if scene.publishes:
            self.publish(scene.publishes)
        if scene.kills:
            dies = Fault("kill", Step(*scene.kills, 1))
            self.live(Life(self.directory, dies))
            assert dies.struck.is_set()

    # ------------------------------------------------------------------------------------------------------ how it goes

    def live(self, life: Life, ask: Callable[[Host], Any] | None = None) -> None:
        """A dewy starts, and polls until all is quiet, or it is killed.

        Raises DewyError where one ends with such an error at its start: its service manager starts it again.
        """
        self.life, self._polls, self._quiet, self.asked = life, 0, 0, None
        with life.lived(), contextlib.suppress(Killed), contextlib.ExitStack() as ends:
            lock = RootLock(self.root)
            ends.callback(lock.release)
            lock.acquire()
            self._start()
            ends.callback(self.wiring.runtime.context.close)
            if ask:
                self.asked = self.deployer.inbox.ask(lambda: ask(self))
            self.deployer.run()

    def _start(self) -> None:
        life, self.processes = self.life, Supervised(self, self.life)

        def emit(kind: events.EventKind, /, **fields: FieldValue) -> None:
            if not life.dead:
                self.said(kind, **fields)
                if kind is events.VERSION_HELD:
                    self.history.append(("held", str(fields["version"])))

        self.wiring = Wiring.of(self.settings, Redactor(), emit)
        waker = self.wiring.runtime.waker
        assert isinstance(waker, QuickWaker)
        waker.slept = self._slept
        self.deployer = self.wiring.deployer(self.processes, self.wiring.load_state(), lambda *_: None)
        self.pipeline = self.deployer.pipeline

    def _slept(self) -> None:
        """Between two polls."""
        self.life.check()
        self.life.watched = self._goes_on
        self._polls += 1
        fault = self.life.fault
        if fault and fault.lasting and self._polls == _FREED_AFTER:
            fault.lift()
        self._quiet = self._quiet + 1 if self._is_quiet() else 0
        if self._quiet >= 2 and self.when_quiet:
            then, self.when_quiet, self._quiet, self._polls = self.when_quiet, None, 0, _FREED_AFTER
            with nobody():
                then()
        if self._quiet >= 2 or self._polls >= self.most_polls:
            raise Stopping

    def _is_quiet(self) -> bool:
        poll, fault = self.deployer.last_poll, self.life.fault
        if fault and fault.lasting and self._polls < _FREED_AFTER:
            return False
        answer = poll.answer if poll else ""
        return ("it runs here" in answer or "on hold" in answer) and not self.pipeline.bakes

    @property
    def is_settled(self) -> bool:
        """Whether the last dewy has come to rest."""
        return self._quiet >= 2

    # ----------------------------------------------------------------------------------------------------- what is there

    def state(self) -> State:
        """As it is on disk. Fails for one that cannot be read."""
        trouble = Recorder()
        state = StateFile(self.root / ".dewy", trouble).load(put_aside=False)
        assert not trouble.events, f"the state cannot be read: {trouble.texts()}"
        return state

    def hooks(self) -> list[tuple[str, ...]]:
        """Phase, deployment and version of each hook that has run."""
        log = self.root / "hooks.log"
        return [tuple(line.split()) for line in log.read_text().splitlines()] if log.exists() else []

    def asked_before(self, version: str) -> int:
        """How often the before-hook was asked about a version."""
        return sum(phase == "before" and asked == version for phase, _, asked in self.hooks())

    def agreed(self) -> str:
        """The version whose before-hook has agreed and which is not done yet, as the disk knows."""
        state = self.state()
        if state.pending and state.pending.kind == "deployment":
            return state.pending.deployed.version
        return state.prepared.version if state.prepared else ""

    def check_disk(self) -> None:
        """``current`` leads to one complete release, every release is complete, and the state can be read."""
        self.state()
        folder = self.root / "releases"
        for path in folder.iterdir() if folder.exists() else ():
            if not path.name.startswith("."):
                version = (path / "app").read_text().split("\n")[1]
                assert tree(path) == contents(version), f"{path.name} is not what was published as {version}"
        current = self.root / "current"
        assert current.exists() or not (current.is_symlink() or self._has_run), "current leads nowhere"

    def check_served(self) -> None:
        """What serves is what ``current`` leads to, and a whole release."""
        serving = self.processes.serving
        assert serving, "nothing serves"
        assert self.serving() == serving.version, f"{serving.version} serves, and current leads to {self.serving()}"
        assert self.pipeline.state.current == self.state().current, "the state on disk is not the one that dewy goes by"

    def check_told(self, scene: Scene) -> None:
        """Hooks ran once, what does not work was held once and not tried again, and dewy itself had no fault."""
        twice = [hook for hook, times in Counter((phase, name) for phase, name, _ in self.hooks()).items() if times > 1]
        assert not twice, f"hooks ran twice: {twice} in {self.hooks()}"
        faults = self.said.of(events.DEWY_FAULT)
        assert not faults, f"a fault of dewy: {faults[0]['traceback']}"
        assert self.history.count(("held", scene.publishes)) <= 1, "it was put on hold twice"
        if ("held", scene.publishes) in self.history:
            after = self.history[self.history.index(("held", scene.publishes)) :]
            assert ("run", scene.publishes) not in after, "it was tried again although it was on hold"

    def check_tidy(self) -> None:
        """Nothing temporary is left."""
        names = (".dewy-*.tmp", ".incoming-*", ".removing-*", "preflight*", ".current.*")
        left = [*self.leftovers(), *(str(path) for name in names for path in self.root.rglob(name))]
        assert not left, f"left behind: {left}"
