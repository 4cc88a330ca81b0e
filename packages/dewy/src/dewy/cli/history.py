"""``dewy history``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dewy.cli.operating import as_json_option, directory_option
from dewy.cli.people import day, one_line, style, table
from dewy.cli.since import SINCE

if TYPE_CHECKING:
    from dewy.journal import Entry, Journal, Query

__all__ = ["command"]

_WORDS = {
    "dewy.started": "dewy started",
    "dewy.stopping": "dewy stops",
    "dewy.upgraded": "dewy replaced",
    "upgrade.failed": "not replaced",
    "dewy.fault": "fault",
    "state.unreadable": "state lost",
    "registry.failed": "registry fails",
    "registry.recovered": "registry works",
    "artifact.changed": "other bytes",
    "deployment.done": "deployed",
    "deployment.failed": "failed",
    "deployment.resumed": "resumed",
    "deployment.interrupted": "given up",
    "version.held": "on hold",
    "version.unheld": "off hold",
    "rollback.done": "rolled back",
    "rollback.failed": "no rollback",
    "report.failed": "not reported",
    "hook.done": "hook",
    "hook.failed": "hook failed",
    "application.crashed": "crashed",
    "application.recovered": "runs again",
    "application.restarted": "restarted",
    "restart.failed": "no restart",
    "generation.killed": "killed",
    "orphan.stopped": "orphan stopped",
}
"""What happened, in two words at most."""

_COLUMNS = {"WHEN": 20, "WHAT": 12, "VERSION": 10, "FROM": 10, "TOOK": 6, "BY": 10, "WHY, OR HOW": 0}
"""The columns and how wide they are at least: what is followed comes line by line."""
_COLOURS = {"error": "red", "warn": "yellow"}
_LAST_LINES = 3
_PAUSE = 0.3
_WORTH_TELLING = 0.05
"""Seconds of a phase."""


@click.command("history")
@click.option("--since", type=SINCE, help="Only from this time on: 2026-03-15, 2026-03-15T14:30:00Z or 7d.")
@click.option("--version", metavar="TAG", help="Only what is about this version.")
@click.option("--failed", is_flag=True, help="Only what went wrong.")
@click.option("--follow", is_flag=True, help="Go on with what happens from now on, until interrupted.")
@directory_option
@as_json_option
def command(since: datetime | None, version: str | None, failed: bool, follow: bool, directory: Path, as_json: bool) -> None:
    """Show what happened on this host, newest first: deployments, failures, rollbacks, holds, crashes, restarts.

    With --follow the newest comes last. With --json, an object a line. Times are UTC.
    """
    from dewy.journal import Journal, Query
    from dewy.operators.offline import look_at

    look_at(directory)
    journal, query = Journal(directory / ".dewy"), Query(since=since, version=version, failed=failed)
    if follow:
        _follow(journal, query, as_json=as_json)
        return
    found = [entry for entry in journal.entries() if query.takes(entry)]
    _print(reversed(found), as_json=as_json)


def _follow(journal: Journal, query: Query, *, as_json: bool) -> None:
    """Shows what was there, then what comes, as it comes."""
    import time

    header, shown = True, []
    for entry in journal.follow():
        if entry and query.takes(entry):
            shown.append(entry)
        if entry is None:
            if shown or header:
                _print(shown, as_json=as_json, header=header)
            header, shown = False, []
            time.sleep(_PAUSE)


def _print(entries: Iterable[Entry], *, as_json: bool, header: bool = True) -> None:
    from dewy.journal.entries import line_of

    if as_json:
        for entry in entries:
            click.echo(line_of(entry))
        return
    shown = list(entries)
    lines = iter(table(tuple(_COLUMNS), map(_row, shown), tuple(_COLUMNS.values())[:-1]))
    first = next(lines)
    if header:
        click.echo(first)
    for entry, line in zip(shown, lines, strict=True):
        click.echo(line)
        for output in _output(entry):
            click.echo(style(f"    | {output}", dim=True))


def _row(entry: Entry) -> tuple[str, ...]:
    fields = entry.fields
    seconds = fields.get("seconds")
    word = _WORDS.get(entry.event, entry.event)
    return (
        day(entry.at),
        style(word, fg=_COLOURS.get(entry.level)),
        entry.field_text("version"),
        entry.field_text("previous_version"),
        f"{seconds:.1f}s" if isinstance(seconds, int | float) else "",
        entry.field_text("cause"),
        _why(entry),
    )


def _why(entry: Entry) -> str:
    if entry.event == "deployment.done":
        return ", ".join(_phases(entry))
    for name in ("error", "how", "reason", "hook", "next"):
        if text := entry.field_text(name):
            return one_line(text)
    return one_line(entry.text)


def _phases(entry: Entry) -> Iterator[str]:
    for name, value in entry.fields.items():
        if name.endswith("_seconds") and isinstance(value, int | float) and value >= _WORTH_TELLING:
            yield f"{name.removesuffix('_seconds')} {value:.1f}s"


def _output(entry: Entry) -> list[str]:
    """The last lines that were printed, of what failed."""
    lines = entry.field_text("output").splitlines() if entry.level == "error" else []
    return [one_line(line) for line in lines[-_LAST_LINES:]]
