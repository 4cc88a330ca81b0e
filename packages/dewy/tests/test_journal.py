"""The history of a host: what is kept, how it survives, and how it is read."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy import events
from dewy.journal import Entry, Journal, JournalRecorder, Query, is_recorded
from dewy.journal import file as journal_file
from dewy.journal.entries import MOST_TEXT, entry_of, line_of, parse_line
from dewy.testing import Recorder
from dewy.types import Event, FieldValue

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def event_of(kind: events.EventKind, at: datetime = NOON, **fields: FieldValue) -> Event:
    return Event(name=kind.name, level=kind.level, text="it happened", at=at, fields=fields)


def entry(number: int, version: str = "v1.0.0", at: datetime = NOON) -> Entry:
    return Entry(at=at, event="deployment.done", level="info", text=f"entry {number}", fields={"version": version})


# ------------------------------------------------------------------------------------------------------- what is kept


def test_every_change_failure_and_manual_action_is_kept() -> None:
    kept = {name for name, kind in events.EVENTS.items() if is_recorded(name, kind.level)}
    assert kept >= {
        *("deployment.done", "deployment.failed", "deployment.resumed", "rollback.done", "rollback.failed", "version.held"),
        *("version.unheld", "hook.done", "hook.failed", "application.crashed", "application.restarted", "restart.failed"),
        *("application.recovered", "dewy.started", "dewy.stopping", "dewy.fault", "registry.failed", "registry.recovered"),
    }
    assert not kept & {"registry.polled", "log", "journal.failed", "notifier.failed"}


def test_a_night_of_crashes_does_not_push_out_the_history_of_a_year() -> None:
    kept = [n for n in range(1, 1025) if entry_of(event_of(events.APPLICATION_CRASHED, crashes=n))]
    assert kept == [1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert entry_of(event_of(events.REGISTRY_FAILED, failures=5)) is None


def test_what_is_long_is_cut_to_its_end() -> None:
    kept = entry_of(event_of(events.APPLICATION_CRASHED, output="x" * 100_000 + "the end", crashes=1))
    assert kept is not None
    assert len(kept.field_text("output")) == MOST_TEXT
    assert kept.field_text("output").endswith("the end")


values = st.text() | st.integers() | st.floats(allow_nan=False) | st.booleans()
names = st.text(min_size=1).filter(lambda name: name not in ("at", "event", "level", "text"))


@given(fields=st.dictionaries(names, values), text=st.text(), seconds=st.integers(0, 10**9))
def test_any_entry_is_one_line_and_reads_back(fields: dict[str, FieldValue], text: str, seconds: int) -> None:
    there = Entry(at=NOON + timedelta(seconds=seconds), event="e", level="info", text=text, fields=fields)
    line = line_of(there)
    assert "\n" not in line
    assert parse_line(line.encode()) == there


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"\n", b"{", b"[]", b"1", b"null", b"\xff", b'{"at": 1}', b"[" * 100_000, b'{"event": "e", "level": "l"}'),
        b'{"at": "2026-03-15T12:00:00", "event": "e", "level": "info", "text": "no zone"}',
    ],
)
def test_what_is_no_entry_is_passed_over(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("query", "takes"),
    [
        (Query(), True),
        (Query(since=NOON), True),
        (Query(since=NOON + timedelta(seconds=1)), False),
        (Query(version="1.0.0"), True),
        (Query(version="v1.0"), False),
        (Query(failed=True), False),
    ],
)
def test_queries(query: Query, takes: bool) -> None:
    assert query.takes(entry(1)) is takes


# ---------------------------------------------------------------------------------------------------------- on disk


def test_entries_are_read_in_the_order_in_which_they_were_written_over_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "MOST_BYTES", 600)
    journal = Journal(tmp_path)
    for number in range(60):
        journal.append(entry(number))
    texts = [found.text for found in journal.entries()]
    assert texts == [f"entry {number}" for number in range(60 - len(texts), 60)]
    assert len(list(tmp_path.iterdir())) == 1 + journal_file.OLD_FILES
    assert len(texts) >= 20
    assert all(path.stat().st_size < 800 for path in tmp_path.iterdir())


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    Journal(tmp_path).append(entry(1))
    assert stat.S_IMODE((tmp_path / "journal.jsonl").stat().st_mode) == 0o600


def test_a_line_that_a_power_cut_has_torn_costs_itself_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(entry(1))
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"at": "2026-03-15T12:0')
    journal.append(entry(2))
    assert [found.text for found in journal.entries()] == ["entry 1", "entry 2"]


def test_killed_while_it_rotates_it_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each number of renames the rest never happens, and the next dewy goes on."""
    for renames in range(3):
        folder = tmp_path / str(renames)
        folder.mkdir()
        journal = Journal(folder)
        monkeypatch.setattr(journal_file, "MOST_BYTES", 100)
        for number in range(3):
            journal.append(entry(number))
        with _killed_after(renames, monkeypatch), pytest.raises(KeyboardInterrupt):
            journal.append(entry(3))
        journal.append(entry(4))
        assert [found.text for found in journal.entries()] == ["entry 0", "entry 1", "entry 2", "entry 4"]


@contextmanager
def _killed_after(renames: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real, left = Path.replace, [renames]

    def replace(self: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        result = real(self, target)
        left[0] -= 1
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        yield


def test_it_does_not_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"):
        Journal(tmp_path).append(entry(1))
    assert not (tmp_path / "elsewhere").exists()


# ------------------------------------------------------------------------------------------------------- following


def drain(following: Iterator[Entry | None]) -> list[str]:
    found = []
    while (each := next(following)) is not None:
        found.append(each.text)
    return found


def test_who_follows_sees_what_was_there_and_then_every_entry_once_also_over_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "MOST_BYTES", 1000)
    journal = Journal(tmp_path)
    following = journal.follow()
    assert drain(following) == []
    seen = []
    for number in range(40):
        journal.append(entry(number))
        if number % 3 == 0:
            seen += drain(following)
    seen += drain(following)
    assert seen == [f"entry {number}" for number in range(40)]
    later = journal.follow()
    assert drain(later)[-1] == "entry 39"


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    following = Journal(tmp_path).follow()
    assert drain(following) == []
    line = line_of(entry(1)).encode() + b"\n"
    with (tmp_path / "journal.jsonl").open("ab", buffering=0) as file:
        file.write(line[:20])
        assert drain(following) == []
        file.write(line[20:])
    assert drain(following) == ["entry 1"]


# -------------------------------------------------------------------------------------------------------- recording


def test_a_full_disk_is_said_once_and_recording_goes_on_when_there_is_space(tmp_path: Path) -> None:
    said = Recorder()
    recorder = JournalRecorder(Journal(tmp_path), said)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        recorder(event_of(events.DEPLOYMENT_DONE, version="v1"))
        recorder(event_of(events.DEPLOYMENT_DONE, version="v2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    recorder(event_of(events.DEPLOYMENT_DONE, version="v3"))
    recorder(event_of(events.REGISTRY_POLLED, version="v4"))
    assert [failure["error"] for failure in said.of(events.JOURNAL_FAILED)] == [
        f"writing the journal failed: {os.strerror(27)}"
    ]
    assert [found.fields["version"] for found in Journal(tmp_path).entries()] == ["v3"]
    assert json.loads((tmp_path / "journal.jsonl").read_text())["event"] == "deployment.done"
