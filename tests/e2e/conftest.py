"""Real applications and places to publish them, for the end-to-end tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from publishing import APPLICATIONS, Archive, Directory, pack


@pytest.fixture(scope="session")
def go_archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Makes a release archive of the Go server, with a version linked into it."""
    go = shutil.which("go")
    if not go:
        pytest.skip("no Go on this machine: the compiled application is not built")
    builds = tmp_path_factory.mktemp("go")

    def archive(version: str) -> bytes:
        binary = builds / version
        if not binary.exists():
            subprocess.run(
                [go, "build", "-ldflags", f"-s -w -X main.version={version}", "-o", binary, "."],
                cwd=APPLICATIONS / "gosrv", check=True, timeout=300,
                env={**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"},
            )  # fmt: skip
        return pack({"myapp": (binary.read_bytes(), 0o755)})

    return archive


@pytest.fixture
def registry(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "registry")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root
