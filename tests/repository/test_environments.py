"""The tox environments: one for every distribution, each on built wheels from this tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import wheels

under_tox = pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="holds in tox's environments")


def test_plain_tox_runs_every_distributions_tests_on_its_wheel() -> None:
    config = _run("-m", "tox", "config", "--format", "json", "-k", "commands", "commands_pre")
    environments = json.loads(config.stdout)["env"]
    for each in wheels.distributions():
        environment = environments[each.name]
        assert f"{each.name}[test]" in str(environment["commands_pre"])
        assert str(each.folder / "tests") in str(environment["commands"])


def test_a_new_distribution_has_its_environment_by_being_there(tmp_path: Path) -> None:
    for name in ("tox.ini", "toxfile.py"):
        shutil.copy(wheels.ROOT / name, tmp_path)
    folder = tmp_path / "packages" / "dewy-notifier-pigeon"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    listed = _run("-m", "tox", "list", "--no-desc", "-c", str(tmp_path / "tox.ini"))
    by_default = listed.stdout.partition("additional environments")[0]
    assert "dewy-notifier-pigeon" in by_default.split()


@under_tox
@pytest.mark.parametrize("name", [each.name for each in wheels.distributions()])
def test_what_is_tested_is_the_wheel_that_was_built_here(name: str) -> None:
    origin = json.loads(distribution(name).read_text("direct_url.json") or "{}")["url"]
    assert origin.startswith(wheels.STORE.as_uri())


def test_under_tox_a_run_on_the_tree_is_refused() -> None:
    source = str(wheels.ROOT / "packages" / "dewy" / "src")
    refused = _run("-m", "pytest", "--collect-only", __file__, check=False, PYTHONPATH=source, TOX_ENV_NAME="dewy")
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "imported from the tree" in refused.stderr


def _run(*arguments: str, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=wheels.ROOT,
        env={**os.environ, **environ},
        check=check,
        capture_output=True,
        text=True,
        timeout=60,
    )
