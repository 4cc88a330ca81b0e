"""Every distribution of the tree keeps the rules of the house. They are found, so a new one is held to them too."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from zipfile import ZipFile

import pytest

from wheels import ROOT, Distribution, distributions, wheel_of

ALL = distributions()
CORE = next(each for each in ALL if each.name == "dewy")
PACKAGES = [each for each in ALL if each.folder.parent.name == "packages"]
PLUGINS = [each for each in ALL if each is not CORE]

every_distribution = pytest.mark.parametrize("distribution", ALL, ids=lambda each: each.name)
every_package = pytest.mark.parametrize("distribution", PACKAGES, ids=lambda each: each.name)
every_plugin = pytest.mark.parametrize("distribution", PLUGINS, ids=lambda each: each.name)


@every_distribution
def test_its_folder_has_its_name_and_its_tests(distribution: Distribution) -> None:
    assert distribution.folder.name == distribution.name
    assert list(distribution.folder.glob("tests/test_*.py"))


@every_distribution
def test_it_describes_itself(distribution: Distribution) -> None:
    assert distribution.project["description"]
    assert distribution.project["license"] == "MIT"
    assert distribution.project["requires-python"] == CORE.project["requires-python"]
    assert (
        (distribution.folder / distribution.project["readme"])
        .read_text(encoding="utf-8")
        .startswith(f"# {distribution.name}\n")
    )


@every_distribution
def test_it_brings_a_plugin(distribution: Distribution) -> None:
    assert distribution.project["entry-points"]["dewy"]


@every_distribution
def test_its_tests_have_what_the_configuration_at_the_root_expects(distribution: Distribution) -> None:
    test = _required(distribution, "test")
    if "dewy" in test:
        test |= _required(CORE, "test")
    assert test >= {"pytest", "pytest-randomly", "pytest-timeout"}


@every_distribution
def test_it_has_no_configuration_of_tools(distribution: Distribution) -> None:
    tools = tomllib.loads((distribution.folder / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    assert set(tools) <= {"hatch"}, "the tools are configured in the root's pyproject.toml"


@every_plugin
def test_it_requires_a_core_of_this_major_version(distribution: Distribution) -> None:
    major = int(CORE.project["version"].partition(".")[0])
    assert f"dewy>={major},<{major + 1}" in distribution.project["dependencies"]


@every_package
def test_all_have_one_version(distribution: Distribution) -> None:
    assert distribution.project["version"] == CORE.project["version"]


def test_the_extras_of_the_core_name_exactly_the_distributions_beside_it() -> None:
    named = {name for extra in CORE.extras - {"test", "types"} for name in _required(CORE, extra)}
    assert named == {each.name for each in PACKAGES if each is not CORE}


@every_distribution
def test_its_wheel_has_types_and_license_and_no_tests(distribution: Distribution) -> None:
    with ZipFile(wheel_of(distribution)) as wheel:
        names = wheel.namelist()
        (license_file,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
        assert wheel.read(license_file) == (ROOT / "LICENSE").read_bytes()
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {distribution.name.replace("-", "_")}
    assert all(f"{package}/py.typed" in names for package in packages)


def test_helper_modules_of_tests_have_unique_names() -> None:
    """They are imported by their bare names from anywhere in the tree."""
    folders = [*ROOT.glob("*/*/tests"), ROOT / "tests", ROOT / "tools"]
    modules = Counter(path.stem for folder in folders for path in folder.glob("*.py"))
    shared = {name for name in modules if name != "conftest" and not name.startswith("test_")}
    assert not {name for name in shared if modules[name] > 1}


def _required(distribution: Distribution, extra: str) -> set[str]:
    """The names of what an extra requires."""
    requirements = distribution.project.get("optional-dependencies", {}).get(extra, [])
    return {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
