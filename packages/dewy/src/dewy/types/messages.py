"""What dewy says: events for programs, messages for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

__all__ = [
    "Event",
    "FieldValue",
    "Level",
    "Message",
    "Notifier",
]

Level = Literal["debug", "info", "warn", "error"]
FieldValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that people or programs may want to know, said once. See the page of events for the names.

    Attributes:
        name: Stable, ``deployment.done`` say.
        level: How much it matters.
        text: A sentence for people.
        at: When, UTC.
        fields: The same facts for programs; names are stable. Secrets are already replaced.
    """

    name: str
    level: Level
    text: str
    at: datetime
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a notifier tells people; title and text can be used as they are.

    Attributes:
        event: The event's name.
        level: How much it matters.
        title: What happened, one short line.
        text: The details, a few lines.
        application: The name of the application's root directory.
        host: This host's name.
        version: The version it is about, or empty.
        previous_version: The version that ran before, or empty.
        registry: The registry's URL without its secrets.
        seconds: How long it took, where that makes sense.
        deployment: The same for all messages of one deployment, and for no other: what a thread is made of. Or empty.
        hook: The hook's command, where it is about one.
        status: The exit status of the hook or the application; negative for a signal; None where there is none.
        output: What the hook or the application printed, the end of it.
        output_size: How many bytes it printed in all; more than ``output`` has where the beginning was left out.
        error: What went wrong, or empty.
        at: When, UTC.
    """

    event: str
    level: Level
    title: str
    text: str
    application: str
    host: str
    at: datetime
    version: str = ""
    previous_version: str = ""
    registry: str = ""
    seconds: float | None = None
    deployment: str = ""
    hook: str = ""
    status: int | None = None
    output: str = ""
    output_size: int = 0
    error: str = ""


class Notifier(Protocol):
    """A way to tell people."""

    def send(self, message: Message) -> None:
        """Delivers one message. Raises NotifierError when it could not; dewy then tries again a few times."""
