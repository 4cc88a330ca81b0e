"""The unit that the repository ships is one that systemd takes without a word."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from documents import ROOT, Page

UNIT = ROOT / "contrib" / "systemd" / "dewy@.service"
PAGE = Page(ROOT / "docs" / "systemd.md")
ANALYZE = shutil.which("systemd-analyze")
PROGRAM = "/opt/dewy/bin/dewy"

with_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze on this machine: the unit is not verified")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ANALYZE), "--no-pager", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    program = tmp_path / "dewy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, str(program)))
    return unit


@with_systemd
def test_systemd_finds_nothing_to_say_about_the_unit(installed: Path) -> None:
    done = analyze("verify", str(installed.with_name("dewy@shop.service")))
    assert done.returncode == 0, done.stderr
    assert [line for line in (done.stdout + done.stderr).splitlines() if "dewy" in line] == []  # not of the host's own units


@with_systemd
def test_a_mistake_in_the_unit_would_be_found(installed: Path) -> None:
    installed.write_text(installed.read_text().replace("KillMode=process", "KillMode=gently"))
    assert f"{UNIT.name}:" in analyze("verify", str(installed)).stderr


@with_systemd
def test_the_exposure_is_at_most_what_the_page_says(installed: Path) -> None:
    done = analyze("security", "--offline=yes", str(installed))
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd does not rate units that are not loaded")
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    stated = re.search(r"exposure level of ([\d.]+)", PAGE.text)
    assert found, done.stdout + done.stderr
    assert stated
    assert float(found[1]) <= float(stated[1])


def settings(text: str) -> dict[str, str]:
    """The lines of a unit by their names, without comments."""
    return {
        name: value
        for line in text.splitlines()
        if not line.startswith(("#", "["))
        for name, _, value in [line.partition("=")]
    }


def test_the_page_explains_every_line_of_the_hardening_and_no_other() -> None:
    hardening = UNIT.read_text(encoding="utf-8").partition("\n# ---- Hardening")[2].partition("[Install]")[0]
    names = set(settings(hardening.partition("\n")[2])) - {""}
    rows = re.findall(r"^\| (`[A-Z][^|]*) \|", PAGE.text, re.M)
    explained = {name for row in rows for name in re.findall(r"`([A-Za-z]+)=", row)}
    assert explained == names | {"UMask"}


def test_what_dewy_relies_on_is_in_the_unit() -> None:
    unit = settings(UNIT.read_text(encoding="utf-8"))
    assert (unit["Type"], unit["NotifyAccess"]) == ("notify", "main")
    assert unit["Restart"] == "always"
    assert "AF_UNIX" in unit["RestrictAddressFamilies"].split()
    assert "ProcSubset" not in unit, "what a killed dewy has left is recognised by the boot's ID, under /proc/sys"
    assert "MemoryDenyWriteExecute" not in unit, "programs that compile as they run end with it"
    assert unit["ExecStart"] == f"{PROGRAM} server -- $COMMAND"
