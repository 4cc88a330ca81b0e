"""How things are shown to people: colours, times, tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from dewy.durations import format_duration

__all__ = ["ago", "day", "one_line", "style", "table"]


def style(text: str, **how: Any) -> str:
    """Coloured text, but for those who set NO_COLOR; click takes colours away where there is no terminal."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **how)


def day(time: str | datetime) -> str:
    """A time, UTC, to the second; what is no time stays as it is."""
    moment = _moment(time)
    return f"{moment:%Y-%m-%d %H:%M:%S}Z" if moment else str(time)


def ago(time: str | datetime, now: datetime, past: str = " ago") -> str:
    """How long ago a time is, roughly."""
    moment = _moment(time)
    if moment is None:
        return ""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit in (86400, 3600, 60):
        if seconds >= 2 * unit:
            seconds -= seconds % unit
            break
    return f"{format_duration(seconds)}{past}"


def one_line(text: str) -> str:
    """A text without line breaks and what a terminal would take for commands."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def table(header: Sequence[str], rows: Iterable[Sequence[str]], least: Sequence[int]) -> Iterable[str]:
    """Lines of a table, the header first; the last column is as wide as it is. Cells may be coloured.

    Args:
        header: The names of the columns.
        rows: Their cells.
        least: Characters that each column but the last has at least.
    """
    cells = [[style(name, bold=True) for name in header], *map(list, rows)]
    widths = [max(least, *(len(click.unstyle(row[column])) for row in cells)) for column, least in enumerate(least)]
    for row in cells:
        padded = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*padded, row[-1]]).rstrip()


def _moment(time: str | datetime) -> datetime | None:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return None
    return time.astimezone(UTC)
