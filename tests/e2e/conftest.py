"""Real applications and places to publish them, for the end-to-end tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_agent import Agent, start_agent
from publishing import APPLICATIONS, Archive, Directory, pack

_UNNAMED = b"the-version-of-this-server"
"""Stands in the Go server as it is built, once for all versions: a version is written over it."""


@pytest.fixture(scope="session")
def go_archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Makes a release archive of the Go server, with a version in it."""
    go = shutil.which("go")
    if not go:
        pytest.skip("no Go on this machine: the compiled application is not built")
    binary = tmp_path_factory.mktemp("go") / "gosrv"
    subprocess.run(
        [go, "build", "-ldflags", "-s -w", "-o", binary, "."],
        cwd=APPLICATIONS / "gosrv", check=True, timeout=100,
        env={**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"},
    )  # fmt: skip
    unnamed = binary.read_bytes()
    assert unnamed.count(_UNNAMED) == 1

    @functools.cache
    def archive(version: str) -> bytes:
        named = unnamed.replace(_UNNAMED, version.encode().ljust(len(_UNNAMED)))
        return pack({"myapp": (named, 0o755)})

    return archive


@pytest.fixture(scope="session")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A Consul for all tests: each uses a path of its own, and may restart it, after which it is empty."""
    with start_agent(tmp_path_factory.mktemp("consul")) as agent:
        yield agent


@pytest.fixture
def registry(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "registry")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root
