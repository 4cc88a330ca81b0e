"""The power goes off at every step that changes the disk: what is found then boots, offline, into a complete release.

What is found is asked of four models of a disk: everything has reached it in its order; nothing has but what was synced;
names have at once, and bytes only when they were synced; names of what was removed are gone at once, others only when
they were synced.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dewy.deployment import Stage
from fault_layer import Life, nobody
from fault_scenes import SCENES, Host, Scene
from fault_steps import CHANGES, SYNCS, Step
from fault_trials import install, rolls_back

MODELS = ("all", "synced", "names at once", "removals at once")

pytestmark = pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="inodes are kept from being used again by O_PATH")

Tree = dict[str, tuple[str, int, object]]
"""From relative paths to kind, permissions, and the bytes of a file or the target of a link."""


@dataclass(frozen=True)
class Entry:
    """What a name leads to: ``directory``, ``file`` or ``link``; its inode, permissions and target."""

    kind: str
    inode: int
    mode: int
    target: str = ""


@dataclass
class Disk:
    """What of a directory has reached the disk.

    Attributes:
        names: Of each directory, by its inode: as they are, and as they were when they were synced last.
        contents: Of each file, likewise.
    """

    root: Path
    names: dict[int, dict[str, Entry]] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)
    synced_names: dict[int, dict[str, Entry]] = field(default_factory=dict)
    synced_contents: dict[int, bytes] = field(default_factory=dict)
    _held: dict[int, int] = field(default_factory=dict)

    def __enter__(self) -> Disk:
        self.look()
        self.synced(None)
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)

    @property
    def inode(self) -> int:
        return self.root.stat().st_ino

    def look(self) -> None:
        """Takes in how everything is now."""
        self.names, self.contents = {}, {}
        for folder, _, _ in os.walk(self.root):
            names: dict[str, Entry] = {}
            for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names are all that is wanted
                path = Path(folder, name)
                names[name] = self._entry(path)
                if names[name].kind == "file":
                    self.contents[names[name].inode] = path.read_bytes()
            self.names[Path(folder).stat().st_ino] = names

    def _entry(self, path: Path) -> Entry:
        status = path.lstat()
        if status.st_ino not in self._held:  # its number is given to nobody else from here on
            self._held[status.st_ino] = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            return Entry("link", status.st_ino, mode, str(path.readlink()))
        return Entry("directory" if stat.S_ISDIR(status.st_mode) else "file", status.st_ino, mode)

    def synced(self, path: str | None) -> None:
        """A file or a directory has reached the disk, or everything has."""
        with nobody():
            self.look()
            inodes = [*self.names, *self.contents] if path is None else [Path(path).stat().st_ino]
        for inode in inodes:
            if inode in self.names:
                self.synced_names[inode] = self.names[inode]
            if inode in self.contents:
                self.synced_contents[inode] = self.contents[inode]

    def found(self, model: str) -> Tree:
        """What a power cut leaves."""
        return dict(self._found(model, self.inode, ""))

    def _found(self, model: str, inode: int, prefix: str) -> Iterator[tuple[str, tuple[str, int, object]]]:
        for name, entry in self._listing(model, inode).items():
            path = f"{prefix}{name}"
            if entry.kind == "directory":
                yield path, (entry.kind, entry.mode, None)
                yield from self._found(model, entry.inode, f"{path}/")
            elif entry.kind == "link":
                yield path, (entry.kind, entry.mode, entry.target)
            else:
                contents = self.contents if model == "all" else self.synced_contents
                yield path, (entry.kind, entry.mode, contents.get(entry.inode, b""))

    def _listing(self, model: str, inode: int) -> dict[str, Entry]:
        now, then = self.names.get(inode), self.synced_names.get(inode, {})
        if model in ("all", "names at once"):
            return now or {}
        if model == "synced" or now is None:
            return then
        there = {entry.inode for names in self.names.values() for entry in names.values()}
        return {name: entry for name, entry in then.items() if name in now or entry.inode in there}


def build(tree: Tree, root: Path) -> None:
    """Makes a directory what was found."""
    shutil.rmtree(root)
    root.mkdir()
    for name, (kind, mode, what) in tree.items():
        path = root / name
        if kind == "directory":
            path.mkdir(mode)
        elif kind == "link":
            path.symlink_to(str(what))
        elif isinstance(what, bytes):
            path.write_bytes(what)
            path.chmod(mode)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("power")
    with pytest.MonkeyPatch.context() as patch:
        install(patch, folder / "plugin")
        yield Host(folder / "world", folder / "templates")


def cuts(host: Host, scene: Scene) -> dict[str, dict[str, Tree]]:
    """What is found at each step that changes something, by the model and the first step that leaves it so."""
    found: dict[str, dict[str, Tree]] = {model: {} for model in MODELS}
    host.begin(scene)
    with Disk(host.root) as disk:

        def before(step: Step | str) -> None:
            if isinstance(step, Step) and step.function not in CHANGES | SYNCS:
                return
            with nobody():
                disk.look()
                for model, trees in found.items():
                    tree = disk.found(model)
                    if tree not in trees.values():
                        trees[str(step)] = tree

        life = Life(host.directory, before=before, synced=disk.synced)
        life.watched = scene.watches != "rest"
        host.live(life, rolls_back if scene.rolls_back else None)
        before("the end")
    return found


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_what_a_power_cut_leaves_boots_offline_into_a_complete_release(host: Host, scene: Scene) -> None:
    wrong = []
    for model, trees in cuts(host, scene).items():
        for step, tree in trees.items():
            build(tree, host.root)
            try:
                boots(host, scene)
            except (AssertionError, Exception) as error:
                wrong.append(f"{scene.name}, {model}, before {step}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)


def boots(host: Host, scene: Scene) -> None:
    """A dewy starts where no registry can be reached, and runs what is there."""
    host.forget()
    host.fates[scene.fate].add(scene.publishes)
    host.check_disk()
    shutil.rmtree(host.registry, ignore_errors=True)
    host.most_polls = 3
    try:
        host.live(Life(host.directory))
    finally:
        host.most_polls = 16
    host.check_disk()
    if scene.begins or (host.root / "current").exists():
        host.check_served()
        assert host.serving() in (*scene.begins, *scene.ends, scene.publishes)
    stage: Stage = host.pipeline.stage
    assert all(stage.releases.path(release.directory).is_dir() for release in stage.on_disk())
