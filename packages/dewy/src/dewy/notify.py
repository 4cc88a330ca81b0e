"""Telling people: from events to messages, the error limit, and delivery that nobody waits for (section 5).

A notifier is one more consumer of the event stream, so it has a thread and a bounded queue of its own (R53).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dewy.backoff import backoff
from dewy.errors import NotifierError
from dewy.events import EVENTS, NOTIFIER_FAILED, Emit
from dewy.types import Event, FieldValue, Level, Message, Notifier

__all__ = ["ErrorLimit", "Facts", "NotifierConsumer", "is_told", "message_of"]

_MOST_ERRORS = 3
_ATTEMPTS = 4
_FIRST_WAIT, _MOST_WAIT = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What every message of this dewy says.

    Attributes:
        application: The name of the application's root directory.
        host: This host's name.
        registry: The registry's URL without its secrets.
    """

    application: str
    host: str
    registry: str


def is_told(name: str, _level: Level) -> bool:
    """Whether notifiers tell events of this name (R51)."""
    kind = EVENTS.get(name)
    return kind is not None and bool(kind.title)


def message_of(event: Event, facts: Facts) -> Message | None:
    """The message for an event; None for one that notifiers do not tell (R51)."""
    if not is_told(event.name, event.level):
        return None

    def text(field: str) -> str:
        value = event.fields.get(field)
        return "" if value is None else str(value)

    return Message(
        event=event.name,
        level=event.level,
        title=f"{facts.application} on {facts.host}: {EVENTS[event.name].title.format_map(event.fields)}",
        text=event.text,
        application=facts.application,
        host=facts.host,
        registry=facts.registry,
        at=event.at,
        version=text("version"),
        previous_version=text("previous_version"),
        seconds=_number(event.fields.get("seconds")),
        deployment=text("deployment"),
        status=_whole(event.fields.get("status")),
        output_size=_whole(event.fields.get("output_size")) or len(text("output").encode()),
        hook=text("hook"),
        output=text("output"),
        error=text("error"),
    )


def _whole(value: FieldValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: FieldValue) -> float | None:
    return float(value) if isinstance(value, int | float) else None


_VITAL = frozenset({"deployment.done", "rollback.done", "registry.recovered", "application.recovered"})
"""What a quiet notifier tells beside errors: that something was deployed or rolled back, or works again (R52)."""


class ErrorLimit:
    """Three errors are told, then none until something has gone well again (R52). Other messages always pass.

    What goes wrong in one deployment counts once: a hook that fails and the deployment that fails with it, say.
    """

    _SUCCESSES = _VITAL

    def __init__(self) -> None:
        self._errors = 0
        self._deployment = ""

    def __call__(self, message: Message) -> Message | None:
        """The message as it is to be told; None if it is not."""
        if message.event in self._SUCCESSES:
            self._errors, self._deployment = 0, ""
        if message.level != "error":
            return message
        same = bool(message.deployment) and message.deployment == self._deployment
        self._deployment = message.deployment
        self._errors += not same
        if self._errors > _MOST_ERRORS:
            return None
        if self._errors == _MOST_ERRORS and not same:
            return replace(message, text=f"{message.text}\nFurther errors are not told until something goes well again.")
        return message


class NotifierConsumer:
    """Consumes events and delivers their messages through one notifier, with retries.

    Args:
        notifier: Who delivers.
        name: The notifier's URL without its secrets.
        facts: What every message says.
        emit: Is told what nobody was told.
        quiet: Tell only what matters: deployed, failed, works again.
        sleep: How to wait between tries, in seconds.
    """

    def __init__(
        self,
        notifier: Notifier,
        name: str,
        facts: Facts,
        emit: Emit,
        *,
        quiet: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._notifier, self._name, self._facts = notifier, name, facts
        self._emit, self._quiet, self._sleep = emit, quiet, sleep
        self._limit = ErrorLimit()

    def __call__(self, event: Event) -> None:
        """Tells one event, if it is one to be told."""
        message = message_of(event, self._facts)
        if message is None or (self._quiet and message.level != "error" and message.event not in _VITAL):
            return
        if message := self._limit(message):
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._notifier.send(message)
            except Exception as error:
                # a notifier is a stranger's code: whatever it raises, the next message may go through
                if attempt == _ATTEMPTS or (isinstance(error, NotifierError) and error.permanent):
                    self._emit(NOTIFIER_FAILED, notifier=self._name, event=message.event, error=str(error), attempts=attempt)
                    return
                asked = error.retry_after if isinstance(error, NotifierError) else None
                self._sleep(min(asked or backoff(attempt, first=_FIRST_WAIT, most=_MOST_WAIT), _MOST_WAIT))
            else:
                return
