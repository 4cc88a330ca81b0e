"""Many deployments in one dewy, and what it needs meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from publishing import Directory, pack
from running import Running, eventually
from trials import options

EVERY = 25
"""Deployments between two looks."""
_BROKEN = 10
"""Every so manieth version is broken."""


@dataclass(frozen=True)
class Sample:
    """What a dewy needs.

    Attributes:
        deployments: So many are behind it.
        memory: Resident, KiB.
        descriptors: That it has open.
        threads: That it has.
        children: Processes that it has started and that are there, dead or alive.
        disk: KiB in the root directory, all of it.
        files: In the root directory.
    """

    deployments: int
    memory: int
    descriptors: int
    threads: int
    children: int
    disk: int
    files: int


def command(registry: Directory, root: Path, port: int) -> list[str]:
    """The command line of a dewy that deploys as fast as it can."""
    hooks = ["--before-deploy-hook", "true", "--after-deploy-hook", "true"]
    return [*options(registry, root, port, *hooks, "--start-grace", "0.05s"), "--", "./current/myapp"]


def soak(
    process: Running, registry: Directory, root: Path, server: Path, number: int, every: int = EVERY
) -> Iterator[Sample]:
    """Publishes version after version, most of them good; yields what dewy needs, every so often.

    Args:
        process: The dewy.
        registry: Where it looks; old versions are withdrawn.
        root: Its root directory.
        server: The program that good versions run.
        number: Versions.
        every: Deployments between two looks.
    """
    for count in range(1, number + 1):
        version, broken = f"v1.{count}.0", count % _BROKEN == 0
        script = "exit 3" if broken else f"exec {server}"
        padding = random.Random(count).randbytes(64 << 10)
        registry.publish(version, pack({"myapp": (f"#!/bin/sh\n{script}\n".encode(), 0o755), "padding": (padding, 0o644)}))
        process.wait_for("deployment.failed" if broken else "report.done", version=version)
        if count > 1:
            registry.withdraw(f"v1.{count - 1}.0")
        if count % every == 0:
            # the next poll comes when everything is tidied up
            process.wait_for(
                "registry.polled", count=len(process.of("registry.polled", version=version)) + 1, version=version
            )
            eventually(lambda: len(_children(process.pid)) == 1, what="the end of all but one generation")
            yield look(process, root, count)


def look(process: Running, root: Path, deployments: int) -> Sample:
    """What a dewy needs now."""
    proc = Path("/proc") / str(process.pid)
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    found = [path.lstat() for path in root.rglob("*")]
    return Sample(
        deployments=deployments,
        memory=int(status["VmRSS"].split()[0]),
        descriptors=len(list((proc / "fd").iterdir())),
        threads=int(status["Threads"]),
        children=len(_children(process.pid)),
        disk=sum(each.st_blocks for each in found) // 2,
        files=len(found),
    )


def _children(pid: int) -> list[str]:
    return [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
