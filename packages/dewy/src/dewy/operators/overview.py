"""What runs on a host, as a document for people and programs: what ``dewy status`` shows. Pure.

Its form is described in docs/operating.md; fields are added, never renamed or removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dewy.state import Deployed, Held, State
from dewy.supervisor.status import GenerationStatus, Status
from dewy.types import Command

__all__ = ["DewyFacts", "PollFacts", "Running", "overview"]

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DewyFacts:
    """The dewy that runs.

    Attributes:
        version: Of dewy itself.
        pid: Its process.
        since: When it was started, UTC.
        command: ``server`` or ``assets``.
        registry: The registry's URL without its secrets.
        activity: What it is busy with.
    """

    version: str
    pid: int
    since: datetime
    command: Command
    registry: str
    activity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFacts:
    """How the registry was last asked.

    Attributes:
        at: When, UTC.
        answer: What came of it: a sentence.
        failures: How often in a row it has given no usable answer.
    """

    at: datetime
    answer: str
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a running dewy knows beside the state.

    Attributes:
        dewy: Itself.
        process: What its supervisor does; None for assets.
        poll: How the registry was last asked; None before that.
    """

    dewy: DewyFacts
    process: Status | None
    poll: PollFacts | None


def overview(
    state: State, on_disk: Iterable[Deployed], *, host: str, application: str, running: Running | None = None
) -> dict[str, Any]:
    """The document.

    Args:
        state: What this host knows.
        on_disk: What has run and is still on disk, newest first.
        host: This host's name.
        application: The name of the application's root directory.
        running: What the running dewy knows; None when none runs.
    """
    dewy, process, poll = (running.dewy, running.process, running.poll) if running else (None, None, None)
    return {
        "format": _FORMAT,
        "host": host,
        "application": application,
        "running": running is not None,
        "dewy": {**asdict(dewy), "since": _time(dewy.since)} if dewy else None,
        "current": _release(state.current) if state.current else None,
        "process": _process(process) if process else None,
        "poll": {**asdict(poll), "at": _time(poll.at)} if poll else None,
        "under_way": {"version": state.pending.deployed.version, "phase": state.pending.phase} if state.pending else None,
        "held": [_held(held) for held in state.held],
        "releases": [{**_release(release), "held": state.holds_deployed(release) is not None} for release in on_disk],
    }


def _release(release: Deployed) -> dict[str, Any]:
    return {
        "version": release.version,
        "artifact": release.artifact,
        "digest": release.digest,
        "directory": release.directory,
        "deployed_at": _utc(release.at),
    }


def _held(held: Held) -> dict[str, Any]:
    return {"version": held.version, "digest": held.digest, "reason": held.reason, "at": _utc(held.at)}


def _process(status: Status) -> dict[str, Any]:
    return {
        "state": status.state,
        "crashes": status.crashes,
        "current": _generation(status.current) if status.current else None,
        "generations": [_generation(generation) for generation in status.generations],
    }


def _generation(generation: GenerationStatus) -> Mapping[str, Any]:
    return {
        "number": generation.number,
        "pid": generation.pid,
        "version": generation.version,
        "state": generation.state,
        "since": _time(generation.since),
        "text": generation.text,
    }


def _time(time: datetime) -> str:
    return _utc(time.isoformat(timespec="milliseconds"))


def _utc(time: str) -> str:
    return time.replace("+00:00", "Z")
