"""Where events go in a test."""

from __future__ import annotations

from string import Formatter

from dewy.events import EventKind
from dewy.types import FieldValue

__all__ = ["Recorder"]


class Recorder:
    """An :class:`dewy.events.Emit` that remembers, and holds every event to its declaration."""

    def __init__(self) -> None:
        self.events: list[tuple[EventKind, dict[str, FieldValue]]] = []
        """Each event's kind and fields, in order."""

    def __call__(self, kind: EventKind, /, **fields: FieldValue) -> None:
        """Records an event. Raises AssertionError when a declared field is missing or one is not declared."""
        always = {name for _, name, _, _ in Formatter().parse(kind.text + kind.title) if name} | set(kind.more)
        missing, unknown = always - set(fields), set(fields) - always - set(kind.optional)
        if missing or unknown:
            raise AssertionError(f"{kind.name}: missing fields {sorted(missing)}, unknown fields {sorted(unknown)}")
        self.events.append((kind, fields))

    @property
    def names(self) -> list[str]:
        """The events' names, in order."""
        return [kind.name for kind, _ in self.events]

    def of(self, kind: EventKind) -> list[dict[str, FieldValue]]:
        """The fields of all events of one kind, in order."""
        return [fields for other, fields in self.events if other is kind]

    def texts(self) -> list[str]:
        """The events as people read them, in order."""
        return [kind.text.format_map(fields) for kind, fields in self.events]
