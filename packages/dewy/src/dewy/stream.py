"""The event stream: said once by the part that knows, delivered to everyone who wants to know.

Each consumer has a thread and a bounded queue of its own: one that is slow or stuck loses events (and this is said), and
neither dewy nor another consumer waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from dewy.events import EVENTS_LOST, LOG, EventKind
from dewy.redaction import Redactor
from dewy.scope import facts
from dewy.types import Event, FieldValue, Level

__all__ = ["Consumer", "EventStream", "LoggingBridge", "Wants"]

Consumer = Callable[[Event], None]
"""What takes events. It is called in a thread of its own and should not raise."""

Wants = Callable[[str, Level], bool]
"""Whether a consumer wants events of a name and a level. What nobody wants costs next to nothing."""

_QUEUE_LENGTH = 1000
_FLUSH_POLL = 0.01
_LAST_WORDS = 2.0
"""Seconds at the end for the log alone, however long others have kept it waiting: it says what they have lost."""


class _Delivery:
    """One consumer, its queue and its thread."""

    def __init__(self, name: str, consumer: Consumer, wants: Wants, report: Callable[[str, int], None]) -> None:
        self.name, self.wants = name, wants
        self._consumer, self._report = consumer, report
        self._queue: queue.Queue[Event | None] = queue.Queue(_QUEUE_LENGTH)
        self._lost = 0
        self._over = False
        self._thread = threading.Thread(target=self._run, name=f"events: {name}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._lost += 1

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            # a consumer has its own boundary for errors; one that fails all the same must not end its thread
            with contextlib.suppress(Exception):
                self._consumer(event)
            self._queue.task_done()
            if self._queue.empty():
                if self._lost:
                    self._report_lost()
                if self._over:
                    return

    def _report_lost(self) -> None:
        lost, self._lost = self._lost, 0
        self._report(self.name, lost)

    @property
    def is_idle(self) -> bool:
        """Whether all that came was delivered."""
        return self._queue.unfinished_tasks == 0

    def end(self) -> None:
        """Says that nothing more comes: the thread ends when all is delivered."""
        self._over = True
        with contextlib.suppress(queue.Full):  # then it sees that it is over when it has delivered all
            self._queue.put_nowait(None)

    def join(self, deadline: float) -> None:
        """Waits until all is delivered, until the monotonic deadline; reports what is not."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive() and (undelivered := self._queue.qsize()):
            self._lost += undelivered
        if self._lost:
            self._report_lost()


class EventStream:
    """Where events are said and consumers are subscribed. Safe to use from all threads; saying never blocks."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._deliveries: list[_Delivery] = []

    def subscribe(self, name: str, consumer: Consumer, wants: Wants = lambda _name, _level: True) -> None:
        """Gives every event from now on that is wanted to ``consumer``, in order, in a thread of its own."""
        self._deliveries = [*self._deliveries, _Delivery(name, consumer, wants, self._say_lost)]

    def emit(self, kind: EventKind, /, **fields: FieldValue) -> None:
        """Says that something happened now. Fields are those that the kind declares."""
        wanting = self._wanting(kind.name, kind.level)
        if wanting:
            fields = {**facts(), **fields}
            safe = {name: self._redact(value) if isinstance(value, str) else value for name, value in fields.items()}
            _deliver(wanting, kind.name, kind.level, kind.text.format_map(safe), safe)

    def log(self, level: Level, message: str, logger: str) -> None:
        """Takes a line of a library or a plugin, which uses Python's logging, into the stream."""
        wanting = self._wanting(LOG.name, level)
        if wanting:
            message = self._redact(message)
            _deliver(wanting, LOG.name, level, message, {"message": message, "logger": logger})

    def close(self, seconds: float) -> None:
        """Delivers what is queued, at most for so long; the first consumer, the log, last: it is told what others lose."""
        deadline = time.monotonic() + seconds
        log, others = self._deliveries[:1], self._deliveries[1:]
        for delivery in others:
            delivery.end()
        for delivery in others:
            delivery.join(deadline)
        for delivery in log:
            delivery.end()
            delivery.join(max(deadline, time.monotonic() + _LAST_WORDS))
        self._deliveries = []

    def flush(self, seconds: float) -> None:
        """Waits until all that was said is delivered, at most for so long."""
        deadline = time.monotonic() + seconds
        while not all(delivery.is_idle for delivery in self._deliveries) and time.monotonic() < deadline:
            time.sleep(_FLUSH_POLL)

    def _wanting(self, name: str, level: Level) -> list[_Delivery]:
        return [delivery for delivery in self._deliveries if delivery.wants(name, level)]

    def _say_lost(self, consumer: str, lost: int) -> None:
        self.emit(EVENTS_LOST, consumer=consumer, lost=lost)


def _deliver(wanting: list[_Delivery], name: str, level: Level, text: str, fields: dict[str, FieldValue]) -> None:
    event = Event(name=name, level=level, text=text, at=datetime.now(UTC), fields=fields)
    for delivery in wanting:
        delivery.put(event)


class LoggingBridge(logging.Handler):
    """Takes the lines of libraries and plugins into the stream: one log, one form, one redaction."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Called by Python's logging."""
        self._stream.log(_level_of(record.levelno), record.getMessage(), record.name)


def _level_of(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"
