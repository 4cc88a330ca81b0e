"""The state on disk: ``<root>/.dewy/state.json``, written whole by the deployer's thread, under the root's lock."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from dewy.errors import DewyError, from_os_error
from dewy.events import STATE_UNREADABLE, STATE_UNSAVED, Emit
from dewy.files import write_atomically
from dewy.state import Deployed, Held, Pending, State

__all__ = ["StateFile", "StateKeeper"]

_FORMAT = 1


class StateFile:
    """Reads and writes the state.

    Args:
        state_directory: ``<root>/.dewy``.
        emit: Is told of a file that cannot be understood.
    """

    def __init__(self, state_directory: Path, emit: Emit) -> None:
        self._path, self._emit = state_directory / "state.json", emit

    def load(self, *, put_aside: bool = True) -> State:
        """The state as it was written last; an empty one if there is none.

        A file that cannot be understood is put aside, and said: a host whose state is lost still serves ``current``.
        With ``put_aside=False`` it is only said. Raises HostError when the file cannot be read.
        """
        try:
            return _parse(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise from_os_error(error, "reading the state") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            aside = self._path.with_suffix(".broken")
            if put_aside:
                self._path.replace(aside)
            self._emit(STATE_UNREADABLE, aside=str(aside), error=f"{type(error).__name__}: {error}")
            return State()

    def save(self, state: State) -> None:
        """Writes the state: the old one or the new one survives, whatever happens. Raises HostError."""
        content = json.dumps({"format": _FORMAT} | asdict(state), indent=1)
        try:
            write_atomically(self._path, content.encode() + b"\n")
        except OSError as error:
            raise from_os_error(error, "writing the state") from error


class StateKeeper:
    """The state as it is now, and the file that follows it.

    Attributes:
        state: What dewy knows.
    """

    def __init__(self, file: StateFile, state: State, emit: Emit) -> None:
        self._file, self._emit = file, emit
        self._unsaved = False
        self.state = state

    def save(self, state: State) -> None:
        """Goes on with a state once it is on disk. Raises HostError; dewy then goes on with the state as it was."""
        self._file.save(state)
        self.state, self._unsaved = state, False

    def keep(self, state: State) -> None:
        """Goes on with a state and writes it if the disk takes it; otherwise :meth:`catch_up` does when it can."""
        self.state = state
        try:
            self.save(state)
        except DewyError as error:
            if not self._unsaved:
                self._emit(STATE_UNSAVED, error=str(error))
            self._unsaved = True

    @property
    def is_saved(self) -> bool:
        """Whether the file says what the state is."""
        return not self._unsaved

    def catch_up(self) -> None:
        """Writes what could not be written before."""
        if self._unsaved:
            self.keep(self.state)


D = TypeVar("D", Deployed, Held)


def _parse(data: dict[str, Any]) -> State:
    if data["format"] != _FORMAT:
        raise ValueError(f"its format is {data['format']!r}, this dewy reads {_FORMAT}")
    current, pending = data.get("current"), data.get("pending")
    return State(
        current=_record(Deployed, current) if current else None,
        releases=tuple(_record(Deployed, item) for item in data.get("releases", ())),
        held=tuple(_record(Held, item) for item in data.get("held", ())),
        pending=_pending(pending) if pending else None,
        prepared=_record(Deployed, data["prepared"]) if data.get("prepared") else None,
        speaks_notify=bool(data.get("speaks_notify", False)),
        named=str(data.get("named", "")),
    )


def _pending(data: dict[str, Any]) -> Pending:
    return Pending(deployed=_record(Deployed, data["deployed"]), phase=data["phase"], kind=data.get("kind", "deployment"))


def _record(kind: type[D], data: dict[str, Any]) -> D:
    """A record from JSON; fields that a newer dewy has added are passed over."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in data.items() if name in known})
