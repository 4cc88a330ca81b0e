"""The log: the event stream as lines, one event a line, as text for people or as JSON for programs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Literal, TextIO

from dewy.events import EVENTS
from dewy.types import Event, FieldValue, Level

__all__ = ["LEVELS", "Log", "LogFormat", "as_json", "as_text"]

LogFormat = Literal["text", "json"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warn", "error")

_COLOURS: dict[Level, str] = {"debug": "\x1b[2m", "info": "\x1b[32m", "warn": "\x1b[33m", "error": "\x1b[31m"}
_RESET = "\x1b[0m"
_CLEAR_LINE = "\r\x1b[K"


def as_json(event: Event) -> str:
    """One line of JSON: ``time``, ``level``, ``event``, ``text`` and the event's fields."""
    head = {"time": _time(event), "level": event.level, "event": event.name, "text": event.text}
    return json.dumps(head | {name: value for name, value in event.fields.items() if name not in head}, ensure_ascii=False)


def as_text(event: Event, *, colour: bool = False) -> str:
    """One line for people: time, level, the sentence, and the fields that are not in it as ``name=value``."""
    level = f"{event.level.upper():5}"
    if colour:
        level = f"{_COLOURS[event.level]}{level}{_RESET}"
    kind = EVENTS.get(event.name)
    said = {name for name in event.fields if kind and f"{{{name}}}" in kind.text}
    rest = [
        f"{name}={_quoted(value)}" for name, value in event.fields.items() if name not in said and value not in (None, "")
    ]
    return " ".join([_time(event), level, f"[{event.name}]", _one_line(event.text), *rest])


def _time(event: Event) -> str:
    return event.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event.at.microsecond // 1000:03d}Z"


def _quoted(value: FieldValue) -> str:
    text = str(value)
    plain = text.isprintable() and not any(character in ' "=' for character in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Line breaks and control characters of what others wrote cannot forge a second line of log."""
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


class Log:
    """A consumer of the stream that writes to a file object, and the progress line of a terminal."""

    def __init__(self, out: TextIO, level: Level, form: LogFormat, *, colour: bool = False) -> None:
        self._out = out
        self._shown = LEVELS[LEVELS.index(level) :]
        self._format: Callable[[Event], str] = as_json if form == "json" else lambda event: as_text(event, colour=colour)
        self._lock = threading.Lock()
        self._progress = ""

    def wants(self, _name: str, level: Level) -> bool:
        """Whether events of this level are shown."""
        return level in self._shown

    def __call__(self, event: Event) -> None:
        """Writes one event."""
        with self._lock:
            clear = _CLEAR_LINE if self._progress else ""
            self._write(f"{clear}{self._format(event)}\n{self._progress}")

    def progress(self, line: str) -> None:
        """Shows a line that replaces the one before it; an empty one takes it away. For terminals only."""
        with self._lock:
            self._progress = line
            self._write(_CLEAR_LINE + line)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            # a log that cannot be written (closed pipe, full disk) is no reason to take a service down
            return
