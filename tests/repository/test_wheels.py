"""tools/wheels.py: a wheel is built once for the files it is made of, and is there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import pytest

import wheels
from wheels import Distribution, distributions, wheel_of, wheels_of

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
[project.optional-dependencies]
test = ["pytest"]
"""
BACKEND = """\
from pathlib import Path
from zipfile import ZipFile

FOLDER = Path(__file__).parent
NAME = FOLDER.name.replace("-", "_")

def build_wheel(directory, config_settings=None, metadata_directory=None):
    with (FOLDER.parent / "builds").open("a") as builds:
        builds.write(NAME + "\\n")
    info = f"{NAME}-1.0.dist-info"
    with ZipFile(f"{directory}/{NAME}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {FOLDER.name}\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{NAME}-1.0-py3-none-any.whl"
"""
"""Needs nothing from an index. It writes down beside the folder that it has built."""


def add(root: Path, name: str) -> Path:
    """Puts a distribution into a tree; returns its folder."""
    folder = root / "packages" / name
    (folder / "src" / "sample").mkdir(parents=True)
    (folder / "src" / "sample" / "__init__.py").touch()
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name))
    (folder / "backend.py").write_text(BACKEND)
    return folder


def builds(root: Path) -> list[str]:
    """What the backends of a tree have built."""
    return (root / "packages" / "builds").read_text().split()


@pytest.fixture
def sample(tmp_path: Path) -> Distribution:
    """The one distribution of a tree."""
    add(tmp_path, "sample")
    (found,) = distributions(tmp_path)
    return found


def test_a_wheel_is_built_once_and_again_when_a_file_has_changed(sample: Distribution, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = wheel_of(sample, store)
    built = first.stat().st_mtime_ns
    (sample.folder / "tests" / "test_sample.py").touch()
    assert wheel_of(sample, store) == first
    assert first.stat().st_mtime_ns == built
    (sample.folder / "src" / "sample" / "more.py").touch()
    assert wheel_of(sample, store) != first
    assert first.is_file(), "another process may be installing it"
    assert sorted(path.name for path in store.iterdir()) == ["sample"]


def test_of_several_those_that_are_missing_are_built_and_each_is_its_own(sample: Distribution, tmp_path: Path) -> None:
    wheel_of(sample, tmp_path / "store")
    add(tmp_path, "sample-more")
    add(tmp_path, "sample-other")
    found = wheels_of(distributions(tmp_path), tmp_path / "store")
    assert sorted(builds(tmp_path)) == ["sample", "sample_more", "sample_other"]
    assert list(found) == ["sample", "sample-more", "sample-other"]
    for name, wheel in found.items():
        assert f"Name: {name}\n" in ZipFile(wheel).read(f"{name.replace('-', '_')}-1.0.dist-info/METADATA").decode()


def test_two_at_a_time_build_one_wheel(sample: Distribution, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(lambda _: wheel_of(sample, tmp_path / "store"), range(2))
    assert first == second
    assert first.is_file()
    assert builds(tmp_path) == ["sample"]


def test_a_wheel_is_built_with_nothing_but_what_it_asks_for(sample: Distribution, tmp_path: Path) -> None:
    (sample.folder / "backend.py").write_text(f"import pytest\n{BACKEND}")
    with pytest.raises(subprocess.CalledProcessError):
        wheel_of(sample, tmp_path / "store")


def test_what_is_installed_again_is_of_the_present_files(sample: Distribution, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    tool = shutil.copy(wheels.__file__, tmp_path / "tools")
    subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", tmp_path / "env"], check=True, timeout=60)
    python = tmp_path / "env" / "bin" / "python"

    def installed() -> str:
        subprocess.run([python, tool, "install", "--all"], check=True, timeout=100)
        (origin,) = (tmp_path / "env").rglob("sample-1.0.dist-info/direct_url.json")
        return str(json.loads(origin.read_text())["url"])

    store = tmp_path / ".tox" / "wheels"
    assert installed() == wheel_of(sample, store).as_uri()
    (sample.folder / "README.md").touch()
    assert installed() == wheel_of(sample, store).as_uri()
    assert builds(tmp_path) == ["sample", "sample"]


def test_the_store_does_not_grow_for_ever(sample: Distribution, tmp_path: Path) -> None:
    old = tmp_path / "store" / "sample" / "of-older-files"
    old.mkdir(parents=True)
    yesterday = time.time() - 2 * wheels.DAY
    os.utime(old, (yesterday, yesterday))
    (tmp_path / "store" / ".building-killed" / "wheels").mkdir(parents=True)
    wheel_of(sample, tmp_path / "store")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["sample"]
    assert not old.exists()


def test_a_build_that_fails_leaves_nothing_that_looks_like_a_wheel(sample: Distribution, tmp_path: Path) -> None:
    (sample.folder / "pyproject.toml").write_text("not toml")
    with pytest.raises(subprocess.CalledProcessError):
        wheel_of(sample, tmp_path / "store")
    assert not list((tmp_path / "store").iterdir())


@pytest.mark.parametrize(("file", "changes"), [("README.md", True), ("src/sample/x.py", True), ("tests/x.py", False)])
def test_only_files_that_go_into_the_wheel_ask_for_a_new_one(sample: Distribution, file: str, changes: bool) -> None:
    before = sample.digest()
    (sample.folder / file).touch()
    assert (sample.digest() != before) is changes


@pytest.mark.parametrize("left", ["src/sample/__pycache__/x.pyc", ".mypy_cache/x", "dist/x.whl"])
def test_what_tools_leave_in_the_tree_does_not(sample: Distribution, left: str) -> None:
    before = sample.digest()
    (sample.folder / left).parent.mkdir(exist_ok=True)
    (sample.folder / left).touch()
    assert sample.digest() == before


def test_of_the_wanted_extras_a_distribution_is_asked_for_those_it_has(sample: Distribution) -> None:
    assert sample.with_extras(["test", "types"]) == "sample[test]"
    assert sample.with_extras(["types"]) == "sample"
