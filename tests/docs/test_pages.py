"""What the repository says of itself holds: the commands, the version, and nothing about the machine it was written on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from documents import ROOT, Page, commands, tracked_files


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_command_that_runs_the_tests_is_the_one_that_ci_runs(name: str) -> None:
    *_, ci_command = commands((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    shown = [line for block in Page(ROOT / name).blocks for line in commands(block.text)]
    assert ci_command in shown, f"{name} does not show what .ci/run runs: {ci_command}"


def test_the_changelog_has_an_entry_for_the_version() -> None:
    version = tomllib.loads((ROOT / "packages/dewy/pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert version in headings


def test_no_file_names_a_path_of_the_machine_it_was_written_on_or_the_host_its_packages_came_from() -> None:
    # What is in the home directory, not the directory itself: root's has one name everywhere, and hostile archives name it.
    at_home = (str(path) for path in Path.home().iterdir() if not path.name.startswith("."))
    own = {f"{ROOT}/", f"{Path(sys.prefix).resolve()}/", *at_home, *_package_hosts()}
    found = [
        f"{path.relative_to(ROOT)}: {word}" for path in tracked_files() for word in own if word.encode() in path.read_bytes()
    ]
    assert not found


def _package_hosts() -> set[str]:
    """The hosts that pip is told to use here, by its configuration or the environment."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    told = listed.stdout + " ".join(value for name, value in os.environ.items() if name.startswith("PIP_"))
    return {urlsplit(url).hostname or "" for url in re.findall(r"https?://[^\s'\"]+", told)} - {""}
