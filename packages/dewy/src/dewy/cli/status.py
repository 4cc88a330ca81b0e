"""``dewy status``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dewy.cli.operating import NOT_RUNNING, as_json_option, ask, directory_option, print_json
from dewy.cli.people import ago, day, one_line, style

__all__ = ["command"]

_NOT_SERVING = 1


@click.command("status")
@directory_option
@as_json_option
def command(directory: Path, as_json: bool) -> int:
    """Show what runs here: version, process, last poll, last error, holds.

    Ends with status 0 when all runs, 1 when dewy runs and the application does not, 3 when no dewy runs here.
    """
    from dewy.operators.offline import NeverRan

    try:
        seen = _look(directory)
    except NeverRan as error:
        click.echo(f"dewy: {error}", err=True)
        return NOT_RUNNING
    if as_json:
        print_json(seen)
    else:
        for name, text in _rows(seen):
            click.echo(f"{style(f'{name:10}', bold=True)} {text}")
    return _exit_status(seen)


def _look(root: Path) -> dict[str, Any]:
    from dewy.control.client import NotRunning
    from dewy.host import host_name
    from dewy.journal import Journal
    from dewy.operators.offline import look_at
    from dewy.operators.overview import overview

    stage = look_at(root)
    try:
        seen = dict(ask(root, "status"))
    except NotRunning:
        seen = overview(stage.state, stage.on_disk(), host=host_name(), application=root.name)
    last = None
    for entry in Journal(root / ".dewy").entries():
        last = entry if entry.level == "error" else last
    at = last.at.isoformat(timespec="seconds").replace("+00:00", "Z") if last else ""
    return {**seen, "last_error": {"at": at, "event": last.event, "text": last.text} if last else None}


def _serves(seen: Mapping[str, Any]) -> bool:
    """Whether the application runs, as far as dewy has one to run."""
    return seen["process"] is None or seen["process"]["current"] is not None


def _exit_status(seen: Mapping[str, Any]) -> int:
    if not seen["running"]:
        return NOT_RUNNING
    return 0 if _serves(seen) else _NOT_SERVING


def _rows(seen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    now, dewy, current = datetime.now(UTC), seen["dewy"], seen["current"]
    yield seen["application"], f"{_headline(seen)} on {seen['host']}"
    if current:
        since = f"since {day(current['deployed_at'])}, {ago(current['deployed_at'], now)}" if current["deployed_at"] else ""
        yield "version", f"{current['version']} {since}".rstrip()
        yield "artifact", f"{current['artifact']} {current['digest']}".strip()
        yield "directory", f"releases/{current['directory']}"
    if process := seen["process"]:
        yield "process", _process(process, now)
    if dewy:
        yield "dewy", f"{dewy['version']}, dewy {dewy['command']}, process {dewy['pid']}, since {day(dewy['since'])}"
        yield "registry", dewy["registry"]
        yield "busy with", dewy["activity"]
    if poll := seen["poll"]:
        answer = f"{ago(poll['at'], now)}: {one_line(poll['answer'])}"
        yield "last poll", style(answer, fg="red") if poll["failures"] else answer
    if unfinished := seen["under_way"]:
        yield "unfinished", f"{unfinished['version']} ({unfinished['phase']})"
    if error := seen["last_error"]:
        yield "last error", f"{day(error['at'])}: {one_line(error['text'])}"
    for held in seen["held"]:
        yield "on hold", f"{held['version']} since {day(held['at'])}: {one_line(held['reason'])}"
    others = [release for release in seen["releases"] if not current or release["directory"] != current["directory"]]
    if others:
        yield "on disk", ", ".join(f"{r['version']}{' (on hold)' if r['held'] else ''}" for r in others)


def _headline(seen: Mapping[str, Any]) -> str:
    version = seen["current"]["version"] if seen["current"] else "nothing yet"
    if not seen["running"]:
        return style(f"{version}, but no dewy runs here", fg="red", bold=True)
    if not _serves(seen):
        return style(f"{version} does not run ({seen['process']['state']})", fg="red", bold=True)
    if seen["poll"] and seen["poll"]["failures"]:
        return style(f"{version} runs, the registry does not answer", fg="yellow", bold=True)
    return style(version if seen["process"] is None else f"{version} runs", fg="green", bold=True)


def _process(process: Mapping[str, Any], now: datetime) -> str:
    current = process["current"]
    crashes = f", died {process['crashes']} times in a row" if process["crashes"] else ""
    if not current:
        return f"{process['state']}{crashes}"
    says = f": {one_line(current['text'])}" if current["text"] else ""
    others = [generation for generation in process["generations"] if generation["number"] != current["number"]]
    ending = f"; {len(others)} older still finishing" if others else ""
    return (
        f"{current['pid']}, generation {current['number']}, up {ago(current['since'], now, past='')}{says}{crashes}{ending}"
    )
