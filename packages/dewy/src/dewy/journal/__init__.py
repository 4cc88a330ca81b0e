"""This host's own history: an append-only file of the events that are worth keeping, bounded by rotation."""

from dewy.journal.entries import Entry, Query, is_recorded
from dewy.journal.file import Journal
from dewy.journal.recorder import JournalRecorder

__all__ = ["Entry", "Journal", "JournalRecorder", "Query", "is_recorded"]
