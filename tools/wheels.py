"""Builds the wheels of this tree's distributions, each once, and installs from them: with pip, as pip is configured here.

    python tools/wheels.py build DIRECTORY             every distribution's wheel, for a release
    python tools/wheels.py install NAME[extras]...     into the environment of the Python that runs this
    python tools/wheels.py install --all --extra test  every distribution

What is installed is what a user gets: the built wheel, and nothing that it does not declare. Distributions of this tree
come from this tree, never from an index, where a stranger may own the name. A wheel is built again only when a file of
its distribution has changed, so that all tox environments share one build. Wheels that are to be built with the same
requirements are built in one environment, which has nothing else: to make one for each takes longer than to build them.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Distribution", "build", "distributions", "install", "wheel_of", "wheels_of"]

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / ".tox" / "wheels"
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """One distribution of this tree.

    Attributes:
        folder: Where it is; its name is the distribution's.
        project: The ``[project]`` table of its pyproject.toml.
        build_requires: What it names there to be built with.
    """

    folder: Path
    project: dict[str, Any]
    build_requires: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, as people install it."""
        return str(self.project["name"])

    @property
    def extras(self) -> frozenset[str]:
        """The extras it has."""
        return frozenset(self.project.get("optional-dependencies", {}))

    def with_extras(self, wanted: Sequence[str]) -> str:
        """A requirement on it with those of the wanted extras that it has."""
        extras = ",".join(extra for extra in wanted if extra in self.extras)
        return f"{self.name}[{extras}]" if extras else self.name

    def digest(self) -> str:
        """Changes when its wheel may: of the names and bytes of its files, its tests aside."""
        total = hashlib.sha256()
        for path in _sources(self.folder):
            content = path.read_bytes()
            total.update(f"{path.relative_to(self.folder).as_posix()}\0{len(content)}\0".encode() + content)
        return total.hexdigest()[:16]


def distributions(root: Path = ROOT) -> list[Distribution]:
    """Every distribution of the tree: the packages, then the examples, each in the order of their names."""
    found = [path for folder in ("packages", "examples") for path in sorted(root.glob(f"{folder}/*/pyproject.toml"))]
    return [_read(path) for path in found]


def wheel_of(distribution: Distribution, store: Path = STORE) -> Path:
    """The distribution's wheel, built if there is none yet for its present files."""
    return wheels_of([distribution], store)[distribution.name]


def wheels_of(wanted: Sequence[Distribution], store: Path = STORE) -> dict[str, Path]:
    """The wheels of distributions, by name; built are those that the store lacks for the present files.

    A wheel appears in the store by one rename, so that a build that is killed leaves none. Of two at a time one waits,
    and finds what the other has built.
    """
    places = {each.name: store / each.name / each.digest() for each in wanted}
    store.mkdir(parents=True, exist_ok=True)
    with _alone(store):
        missing: dict[tuple[str, ...], list[Distribution]] = {}
        for each in wanted:
            if not places[each.name].is_dir():
                missing.setdefault(each.build_requires, []).append(each)
        for group in missing.values():
            _build(group, places, store)
    return {name: _only(place.glob("*.whl")) for name, place in places.items()}


def build(directory: Path) -> list[Path]:
    """Puts every distribution's wheel into a directory; returns where they are."""
    directory.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(wheel, directory)) for wheel in wheels_of(distributions()).values()]


def install(requirements: Sequence[str]) -> None:
    """Installs distributions of this tree, and what they require, into the environment that runs this.

    What was installed of them before is replaced: their version does not change with their files.
    """
    known = wheels_of(distributions())
    installed = [name for name in known if any(importlib.metadata.Distribution.discover(name=name))]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.writelines(f"{name} @ {wheel.as_uri()}\n" for name, wheel in known.items())
        constraints.flush()
        if installed:
            _pip("uninstall", "-qq", "--yes", *installed)
        _pip("install", "--quiet", "--constraint", constraints.name, *requirements)


def _read(path: Path) -> Distribution:
    pyproject = tomllib.loads(path.read_text(encoding="utf-8"))
    return Distribution(path.parent, pyproject["project"], tuple(pyproject["build-system"]["requires"]))


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Waits until no other process builds into the store. The lock goes with the process that has it."""
    handle = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _build(group: Sequence[Distribution], places: dict[str, Path], store: Path) -> None:
    """Builds the wheels of distributions with the same build requirements. The store must be ours alone."""
    for left in store.glob(".building-*"):  # by a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=".building-") as work:
        environment, fresh = Path(work) / "environment", Path(work) / "wheels"
        venv.create(environment, symlinks=True)
        pip = ("--python", str(environment))
        if group[0].build_requires:
            _pip(*pip, "install", "--quiet", *group[0].build_requires)
        folders = [str(each.folder) for each in group]
        _pip(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(fresh), *folders)
        for each in group:
            _put(_only(fresh.glob(f"{each.name.replace('-', '_')}-*.whl")), places[each.name])


def _put(wheel: Path, place: Path) -> None:
    """Moves a wheel into a directory of its own, which appears with it."""
    ready = wheel.parent / place.name
    ready.mkdir()
    wheel.rename(ready / wheel.name)
    place.parent.mkdir(exist_ok=True)
    _remove_old(place.parent)
    ready.rename(place)


def _only(paths: Iterator[Path]) -> Path:
    (path,) = paths
    return path


def _sources(folder: Path) -> Iterator[Path]:
    """All files of a distribution but its tests and what tools have left there."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        left_by_tools = any(part.startswith(".") or part == "__pycache__" for part in inside)
        if path.is_file() and not left_by_tools and inside[0] not in {"tests", "build", "dist"}:
            yield path


def _remove_old(folder: Path) -> None:
    """Bounds the store. Not at once: another tox may be installing the wheel of the files as they were a moment ago."""
    for old in folder.iterdir():
        if old.stat().st_mtime < time.time() - DAY:
            shutil.rmtree(old, ignore_errors=True)  # one that stays does no harm


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--no-input", *arguments], check=True)


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="build every distribution's wheel into a directory")
    command.add_argument("directory", type=Path)
    command = commands.add_parser("install", help="install distributions of this tree into this environment")
    command.add_argument("requirements", nargs="*", metavar="NAME[EXTRAS]")
    command.add_argument("--all", action="store_true", help="every distribution")
    command.add_argument("--extra", action="append", default=[], help="with --all: this extra of each one that has it")
    arguments = parser.parse_args()
    if arguments.command == "build":
        print(*build(arguments.directory), sep="\n")
        return
    everything = [each.with_extras(arguments.extra) for each in distributions()] if arguments.all else []
    install([*arguments.requirements, *everything])


if __name__ == "__main__":
    main()
