"""What the journal holds: one event a line, as JSON, under the names that the page of events documents. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dewy.events import EVENTS
from dewy.types import Event, FieldValue, Level
from dewy.versions import same_tag

__all__ = ["MOST_TEXT", "Entry", "Query", "entry_of", "is_recorded", "line_of", "parse_line"]

MOST_TEXT = 4096
"""Characters of one field that are kept: the end of them, for what is long is output."""

_COUNTERS = ("failures", "crashes")
_FIRST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal.

    Attributes:
        at: When, UTC.
        event: The event's name.
        level: How much it matters.
        text: The sentence for people.
        fields: The event's fields.
    """

    at: datetime
    event: str
    level: Level
    text: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)

    def field_text(self, name: str) -> str:
        """A field as text; empty where the event has none."""
        value = self.fields.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for.

    Attributes:
        since: Only from this time on.
        version: Only what is about this version.
        failed: Only what went wrong.
    """

    since: datetime | None = None
    version: str | None = None
    failed: bool = False

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is one that is looked for."""
        return (
            (self.since is None or entry.at >= self.since)
            and (self.version is None or same_tag(entry.field_text("version"), self.version))
            and (not self.failed or entry.level == "error")
        )


def is_recorded(name: str, _level: Level) -> bool:
    """Whether events of this name are kept."""
    kind = EVENTS.get(name)
    return kind is not None and kind.recorded


def entry_of(event: Event) -> Entry | None:
    """The entry for an event; None for one that is not kept.

    What happens again and again in a row is kept the first times and then ever less often, so that a night of crashes does
    not push out the history of a year: each entry says how many there were.
    """
    if not is_recorded(event.name, event.level) or not all(_is_kept(event.fields.get(name)) for name in _COUNTERS):
        return None
    fields = {name: _cut(value) for name, value in event.fields.items() if value is not None and value != ""}
    return Entry(at=event.at, event=event.name, level=event.level, text=event.text[-MOST_TEXT:], fields=fields)


def _is_kept(count: FieldValue) -> bool:
    """Whether the so-many-th time in a row is kept: the first three, then the powers of two."""
    return not isinstance(count, int) or count <= _FIRST or count & (count - 1) == 0


def _cut(value: FieldValue) -> FieldValue:
    return value[-MOST_TEXT:] if isinstance(value, str) else value


def line_of(entry: Entry) -> str:
    """An entry as a line of JSON, without its end."""
    own: dict[str, FieldValue] = {
        "at": entry.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": entry.event, "level": entry.level, "text": entry.text,
    }  # fmt: skip
    return json.dumps(own | {name: value for name, value in entry.fields.items() if name not in own})


def parse_line(line: bytes) -> Entry | None:
    """The entry that a line holds; None for one that is torn or was never one."""
    try:
        data = json.loads(line)
        own = {name: str(data.pop(name)) for name in ("event", "level", "text")}
        at = datetime.fromisoformat(data.pop("at"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    fields = {str(name): value for name, value in data.items() if isinstance(value, FieldValue)}
    return Entry(at=at, fields=fields, **own) if at.tzinfo else None  # type: ignore[arg-type]  # a level, as it was written
