"""Good versions and broken ones, deployed one after the other while users are served."""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from load import Load
from publishing import APPLICATIONS, Archive, Directory, pack
from running import Running

WAYS = ("exits", "quits", "hangs", "fails", "mute")
"""How a version of the Go server is broken: the second word of its text, see its source."""

_UNNAMED = b"the-version-of-this-server"


def go_archives(folder: Path) -> Archive:
    """Builds the Go server once; what is returned makes a release archive with a text in it: a version, and how it fails."""
    binary = folder / "gosrv"
    subprocess.run(
        [shutil.which("go") or "go", "build", "-ldflags", "-s -w", "-o", binary, "."],
        cwd=APPLICATIONS / "gosrv", check=True, timeout=100,
        env={**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"},
    )  # fmt: skip
    unnamed = binary.read_bytes()
    return functools.cache(
        lambda text: pack({"myapp": (unnamed.replace(_UNNAMED, text.encode().ljust(len(_UNNAMED))), 0o755)})
    )


def options(registry: Directory, root: Path, port: int, *more: str) -> list[str]:
    """The command line of a dewy that proves its versions, in a hurry."""
    return [
        "--registry", registry.url, "-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root), "--start-grace", "0.1s",
        "--health-path", "/healthz", "--health-timeout", "2s", *more,
    ]  # fmt: skip


@dataclass
class Trial:
    """Every second version is broken, in each way in turn.

    Attributes:
        good: The versions that must run, in order.
        broken: Those that must not.
    """

    registry: Directory
    archive: Archive
    good: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def deploy(self, process: Running, number: int, load: Load | None = None) -> None:
        """Publishes one more version, and waits for what must become of it."""
        version = f"v1.{number}.0"
        if number % 2:
            self.broken.append(version)
            self.registry.publish(version, self.archive(f"{version} {WAYS[number // 2 % len(WAYS)]}"))
            process.wait_for("deployment.failed", version=version)
            return
        self.good.append(version)
        self.registry.publish(version, self.archive(version))
        process.wait_for("deployment.done", version=version)
        if load:
            load.wait_for(version)

    def check(self, process: Running) -> None:
        """Every good version was deployed, and every broken one is on hold and was told of once."""
        assert _versions(process, "deployment.done") == self.good
        assert _versions(process, "deployment.failed") == self.broken
        assert _versions(process, "version.held") == self.broken
        assert _versions(process, "deployment.started") == sorted(self.good + self.broken, key=_number), (
            "each was tried once"
        )
        assert {event["phase"] for event in process.of("deployment.failed")} == {"preflight"}


def _versions(process: Running, event: str) -> list[str]:
    return [str(each["version"]) for each in process.of(event)]


def _number(version: str) -> int:
    return int(version.split(".")[1])


def unpacked(archive: bytes, folder: Path) -> Path:
    """The program in a release archive, as a file."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extract("myapp", folder, filter="data")
    return folder / "myapp"
