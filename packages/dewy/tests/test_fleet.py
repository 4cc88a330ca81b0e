"""Who shipped what, where and when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dewy.backends.file_catalog import FileCatalog
from dewy.fleet import Query, shipped


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    for version, names in {
        "v1.0.0": [
            "shipped_to_web1_server_at_20260301T100000.000000000Z.txt",
            "shipped_to_web_2_server_at_20260302T100000.123456789Z.txt",
            "app.tar.gz",
            "notes.txt",
        ],
        "v1.1.0": ["shipped_to_web1_assets_at_20260401T100000Z.txt", "shipped_to_.txt"],
        "nightly": ["shipped_to_web1_server_at_20250101T000000Z.txt"],
    }.items():
        (tmp_path / version).mkdir()
        for name in names:
            (tmp_path / version / name).write_text("")
    return tmp_path


def found(registry: Path, **query: object) -> set[tuple[str, str]]:
    return {(s.version, s.entry.host) for s in shipped(FileCatalog(registry), Query(**query))}  # type: ignore[arg-type]


def test_entries_are_found_by_host_version_and_time(registry: Path) -> None:
    assert found(registry) == {("v1.0.0", "web1"), ("v1.0.0", "web_2"), ("v1.1.0", "web1"), ("nightly", "web1")}
    assert found(registry, host="WEB_2") == {("v1.0.0", "web_2")}
    assert found(registry, version="v1.1.0") == {("v1.1.0", "web1")}
    since = datetime(2026, 3, 2, tzinfo=UTC)
    assert found(registry, since=since) == {("v1.0.0", "web_2"), ("v1.1.0", "web1")}
    assert found(registry, host="nobody") == set()


def test_thousands_of_entries_are_quick(tmp_path: Path) -> None:
    for version in range(20):
        folder = tmp_path / f"v1.{version}.0"
        folder.mkdir()
        for host in range(250):
            (folder / f"shipped_to_web{host}_server_at_20260301T100000.000000000Z.txt").touch()
    began = time.monotonic()
    assert len(list(shipped(FileCatalog(tmp_path), Query()))) == 5000
    assert time.monotonic() - began < 5


def audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DEWY_")}
    return subprocess.run(
        [sys.executable, "-m", "dewy", "audit", *arguments],
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_tells_people_and_programs(registry: Path) -> None:
    told = audit("--registry", f"file://{registry}", "--version", "v1.0.0")
    assert told.returncode == 0
    assert [line.split() for line in told.stdout.splitlines()] == [
        ["2026-03-02", "10:00:00", "v1.0.0", "web_2", "server"],
        ["2026-03-01", "10:00:00", "v1.0.0", "web1", "server"],
    ]
    told = audit("--registry", f"file://{registry}", "--since", "2026-03-15", "--json")
    assert [json.loads(line) for line in told.stdout.splitlines()] == [
        {"version": "v1.1.0", "host": "web1", "command": "assets", "at": "2026-04-01T10:00:00+00:00"}
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--registry", "file:///srv", "--since", "yesterday"], "'yesterday' is no time. It takes one such as 2026-03-15"),
        ([], "Missing option '--registry'"),
        (["--registry", "shelf://x"], "no registry plugin handles shelf://"),
    ],
)
def test_wrong_use_is_told_in_one_line(arguments: list[str], line: str) -> None:
    told = audit(*arguments)
    assert told.returncode == 2
    assert line in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_registry_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    told = audit("--registry", f"file://{tmp_path}/gone")
    assert told.returncode == 1
    assert f"{tmp_path}/gone" in told.stderr
