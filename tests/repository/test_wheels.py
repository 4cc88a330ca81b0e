"""tools/wheels.py: a wheel is built once for the files it is made of, and is there whole or not at all."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

import wheels
from wheels import Distribution, distributions, wheel_of

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "sample"
version = "1.0"
[project.optional-dependencies]
test = ["pytest"]
"""
BACKEND = """\
from zipfile import ZipFile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    info = "sample-1.0.dist-info"
    with ZipFile(f"{directory}/sample-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: sample\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return "sample-1.0-py3-none-any.whl"
"""


@pytest.fixture
def sample(tmp_path: Path) -> Distribution:
    """A distribution with a build backend of its own, which needs nothing from an index."""
    folder = tmp_path / "packages" / "sample"
    (folder / "src" / "sample").mkdir(parents=True)
    (folder / "src" / "sample" / "__init__.py").touch()
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
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


def test_the_store_does_not_grow_for_ever(sample: Distribution, tmp_path: Path) -> None:
    old = tmp_path / "store" / "sample" / "of-older-files"
    old.mkdir(parents=True)
    yesterday = time.time() - 2 * wheels.DAY
    os.utime(old, (yesterday, yesterday))
    wheel_of(sample, tmp_path / "store")
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
