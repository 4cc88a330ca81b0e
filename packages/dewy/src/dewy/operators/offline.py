"""A root in which no dewy runs, for the commands of operators: the same operations on the same files, under its lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dewy import events
from dewy.deployment import Rollback, Stage
from dewy.errors import DewyError
from dewy.journal import Journal, JournalRecorder, is_recorded
from dewy.lock import RootLock
from dewy.operators.operations import Operations
from dewy.redaction import Redactor
from dewy.statefile import StateFile, StateKeeper
from dewy.stream import EventStream
from dewy.types import FieldValue

__all__ = ["NeverRan", "look_at", "operations_of"]

_FLUSH = 10.0


class NeverRan(DewyError):
    """No dewy has ever run in a directory."""


@contextmanager
def operations_of(root: Path, environ: Mapping[str, str]) -> Iterator[Operations]:
    """What an operator may do there, for the time of the block.

    Raises:
        RootTaken: A dewy has the root.
        NeverRan: No dewy has ever run there.
        HostError: The directory cannot be used.
    """
    state_directory = _state_directory(root)
    lock = RootLock(root)
    lock.acquire()
    stream = EventStream(Redactor(environ))
    try:
        stream.subscribe("journal", JournalRecorder(Journal(state_directory), stream.emit), is_recorded)
        file = StateFile(state_directory, stream.emit)
        stage = Stage(root, StateKeeper(file, file.load(), stream.emit), stream.emit)
        yield Operations(stage, Rollback(stage, None, stream.emit), stream.emit)
    finally:
        stream.close(_FLUSH)
        lock.release()


def look_at(root: Path) -> Stage:
    """What is known of it, without its lock, changing nothing. Raises NeverRan, or HostError for an unreadable state."""

    def nobody_is_told(_kind: events.EventKind, /, **_fields: FieldValue) -> None:
        """Looking is not worth an entry."""

    file = StateFile(_state_directory(root), nobody_is_told)
    return Stage(root, StateKeeper(file, file.load(put_aside=False), nobody_is_told), nobody_is_told)


def _state_directory(root: Path) -> Path:
    directory = root / ".dewy"
    if not directory.is_dir():
        raise NeverRan(f"no dewy has run in {root}", "-C names the application's root directory")
    return directory
