"""The option ``--since``: a time, or how long ago."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from dewy.durations import parse_duration

__all__ = ["SINCE"]


class _Since(click.ParamType[datetime]):
    """A time: ``2026-03-15``, ``2026-03-15T14:30:00Z``, or how long ago: ``7d``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromtimestamp(datetime.now(UTC).timestamp() - parse_duration(value), UTC)
        except (ValueError, OverflowError, OSError):
            pass  # no duration: a date, then
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time. It takes one such as 2026-03-15, 2026-03-15T14:30:00Z or 7d", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


SINCE = _Since()
