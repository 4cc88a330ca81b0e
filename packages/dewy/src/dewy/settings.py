"""What the user asked for, validated once and frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dewy.errors import UsageError
from dewy.types import Command

__all__ = ["MIN_INTERVAL", "ReadyMode", "Settings", "VerifyMode", "cache_directory"]

ReadyMode = Literal["auto", "notify", "grace"]
VerifyMode = Literal["off", "auto", "required"]

_PATH = re.compile(r"/[!-~]*")
MIN_INTERVAL = 0.1
"""Seconds between polls that cannot be undercut: a typing error must not become an attack on the registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything ``dewy server`` and ``dewy assets`` can be told. Times are in seconds.

    Attributes:
        command: Which of the two it is.
        root: The application's root directory, absolute.
        registry: URL of the registry.
        environ: The environment dewy was started with; the application and the hooks get it too.
        argv: The application's command line; empty for assets.
        cache: URL of the cache.
        notifiers: URLs of the notifiers.
        ports: Port specifications as the user gave them; none for a job worker.
        interval: Between polls.
        before_hook: Shell command to run before a deployment, or empty.
        after_hook: Shell command to run after it, or empty.
        health_path: What is got by HTTP to see whether a version is healthy, or empty.
        health_command: Shell command that says so by its exit status, or empty.
        health_timeout: How long a version may take to become healthy.
        preflight: Whether a version is first started on private sockets for its health check.
        bake_time: How long a version is watched after it has taken over.
        rollback_hook: Shell command to run when a deployment was undone, or empty.
        hook_timeout: How long a hook may run.
        start_grace: How long an application that says nothing must stay up to count as ready.
        start_timeout: How long one that says when it is ready may take.
        stop_timeout: How long it may take to finish what it is doing before it is killed.
        ready: How readiness is told: see :mod:`dewy.supervisor.readiness`.
        calver: The form of calendar versions, or empty for semantic ones.
        slot: Only versions with this build metadata, or empty.
        constraint: The range of versions that is not left, or empty.
        verify: What is trusted about bytes: see :mod:`dewy.fetch`.
        keep_releases: How many release directories stay.
        max_size: Bytes that an artifact may have, packed and unpacked.
        max_members: Files that an archive may have.
    """

    command: Command
    root: Path
    registry: str
    environ: Mapping[str, str] = field(repr=False)
    argv: tuple[str, ...] = ()
    cache: str = "file://"
    notifiers: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    interval: float = 10.0
    before_hook: str = ""
    after_hook: str = ""
    rollback_hook: str = ""
    health_path: str = ""
    health_command: str = ""
    health_timeout: float = 30.0
    preflight: bool = True
    bake_time: float = 10.0
    hook_timeout: float = 300.0
    start_grace: float = 1.0
    start_timeout: float = 30.0
    stop_timeout: float = 30.0
    ready: ReadyMode = "auto"
    calver: str = ""
    slot: str = ""
    constraint: str = ""
    verify: VerifyMode = "auto"
    keep_releases: int = 7
    max_size: int = 10 << 30
    max_members: int = 100_000

    def __post_init__(self) -> None:
        """Raises UsageError for what does not go together."""
        if self.command == "server" and not self.argv:
            raise UsageError("no COMMAND to run", "It stands after --: dewy server --registry URL -- ./current/myapp")
        if self.calver and self.constraint:
            raise UsageError("--constraint is for semantic versions and does not go with --calver", "Use one of them")
        if self.health_path and not self.ports:
            raise UsageError("--health-path is got by HTTP from the first --port, and there is none", "Use --health-command")
        if self.health_path and not _PATH.fullmatch(self.health_path):
            raise UsageError(f"--health-path is {self.health_path!r}", "It takes a path such as /healthz")
        if self.interval < MIN_INTERVAL:
            raise UsageError(f"--interval is {self.interval:g}s", f"It takes {MIN_INTERVAL:g}s or more")
        if self.keep_releases < 2:
            raise UsageError(
                f"--keep-releases is {self.keep_releases}", "It takes 2 or more: the current one and one to go back to"
            )

    @property
    def state_directory(self) -> Path:
        """Where this host's own state is kept (DESIGN "Local truth")."""
        return self.root / ".dewy"


def cache_directory(root: Path, environ: Mapping[str, str]) -> Path:
    """Where a cache on disk lives: ``$DEWY_CACHEDIR``, else ``<root>/.dewy/cache`` (R41)."""
    told = environ.get("DEWY_CACHEDIR")
    return (root / told) if told else root / ".dewy" / "cache"
