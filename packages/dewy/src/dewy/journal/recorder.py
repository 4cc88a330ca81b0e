"""Who writes the journal: one more consumer of the event stream."""

from __future__ import annotations

from dewy.errors import from_os_error
from dewy.events import JOURNAL_FAILED, Emit
from dewy.journal.entries import entry_of
from dewy.journal.file import Journal
from dewy.types import Event

__all__ = ["JournalRecorder"]


class JournalRecorder:
    """Writes the events that are kept. A disk that does not take them is said once, until it does again.

    Args:
        journal: Where they go.
        emit: Is told when they do not.
    """

    def __init__(self, journal: Journal, emit: Emit) -> None:
        self._journal, self._emit = journal, emit
        self._lost = 0

    def __call__(self, event: Event) -> None:
        """Writes one event, if it is one that is kept."""
        if entry := entry_of(event):
            try:
                self._journal.append(entry)
            except OSError as error:
                self._lost += 1
                if self._lost == 1:
                    self._emit(JOURNAL_FAILED, error=str(from_os_error(error, "writing the journal")))
            else:
                self._lost = 0
