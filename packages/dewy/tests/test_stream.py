"""The event stream, its redaction and its log."""

from __future__ import annotations

import io
import json
import logging
import string
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy import events
from dewy.events import EVENTS, EventKind
from dewy.log import LEVELS, Log, as_json, as_text
from dewy.redaction import Redactor
from dewy.stream import EventStream, LoggingBridge
from dewy.types import Event

AT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


def event(name: str = "x", text: str = "something", level: str = "info", **fields: object) -> Event:
    return Event(name=name, level=level, text=text, at=AT, fields=fields)  # type: ignore[arg-type]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0001)


def test_every_consumer_gets_every_event_in_order() -> None:
    stream, one, two = EventStream(Redactor()), [], []
    stream.subscribe("one", one.append)
    stream.subscribe("two", two.append)
    for number in range(200):
        stream.emit(events.REPORT_DONE, version=str(number))
    stream.close(5)
    assert [e.fields["version"] for e in one] == [str(number) for number in range(200)]
    assert one == two


def test_a_consumer_gets_what_it_wants() -> None:
    stream, seen = EventStream(Redactor()), []
    stream.subscribe("some", seen.append, lambda name, level: name == "report.failed" and level == "warn")
    stream.emit(events.REPORT_DONE, version="1")
    stream.emit(events.REPORT_FAILED, version="1", error="x")
    stream.close(5)
    assert [e.name for e in seen] == ["report.failed"]


def test_a_stuck_consumer_delays_nobody_and_its_loss_is_told() -> None:
    stream, free, seen = EventStream(Redactor()), threading.Event(), []
    stream.subscribe("good", seen.append)
    stream.subscribe("stuck", lambda _event: free.wait())  # type: ignore[arg-type,return-value]
    for number in range(1500):
        stream.emit(events.REPORT_DONE, version=str(number))
        if number % 100 == 99:  # so that the good one loses none
            wait_until(lambda: len(seen) == number + 1)  # noqa: B023 - called in this turn of the loop
    free.set()
    began = time.monotonic()
    stream.close(10)
    assert time.monotonic() - began < 5, "it has delivered all that it had room for"
    lost = [e for e in seen if e.name == "events.lost"]
    assert lost
    assert lost[0].fields["consumer"] == "stuck"


def test_a_consumer_that_raises_gets_the_next_event() -> None:
    stream, seen = EventStream(Redactor()), []

    def consumer(e: Event) -> None:
        seen.append(e)
        raise RuntimeError

    stream.subscribe("raising", consumer)
    stream.emit(events.REPORT_DONE, version="1")
    stream.emit(events.REPORT_DONE, version="2")
    stream.close(5)
    assert len(seen) == 2


def test_closing_does_not_wait_for_a_stuck_consumer() -> None:
    stream, free = EventStream(Redactor()), threading.Event()
    stream.subscribe("stuck", lambda _event: free.wait())  # type: ignore[arg-type,return-value]
    stream.emit(events.REPORT_DONE, version="1")
    stream.close(0.1)
    free.set()


def test_secrets_are_replaced_in_fields_sentences_and_library_logs() -> None:
    redactor, seen = Redactor({"MY_TOKEN": "canary-from-environment", "HOME": "/home/somebody"}), []
    redactor.add("p@ss/word")
    stream = EventStream(redactor)
    stream.subscribe("log", seen.append)
    stream.emit(events.REPORT_FAILED, version="v1", error="401 for canary-from-environment at p%40ss%2Fword or p@ss/word")
    logger = logging.Logger("lib")
    logger.addHandler(LoggingBridge(stream))
    logger.warning("sent %s", "p@ss/word")
    stream.close(5)
    assert "canary" not in str(seen)
    assert "word" not in str(seen)
    assert seen[1].text == "sent ***"
    assert seen[1].level == "warn"


@given(st.text(alphabet=string.printable, min_size=3, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_told_secret_survives(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.add(secret)
    if "*" not in secret:
        assert secret not in redactor(before + secret + after).replace("***", "\0")


def test_json_is_one_object_a_line_with_stable_keys() -> None:
    line = as_json(event("deployment.done", "done", output="a\nb", seconds=1.5))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-02T03:04:05.678Z", "level": "info", "event": "deployment.done", "text": "done",
        "output": "a\nb", "seconds": 1.5,
    }  # fmt: skip


def test_text_is_one_line_whatever_an_application_prints() -> None:
    line = as_text(event("hook.done", "all\nwell \x1b[31m", output='a "b"\nc', status=0))
    assert line == ('2026-01-02T03:04:05.678Z INFO  [hook.done] all\\nwell \\u001b[31m output="a \\"b\\"\\nc" status=0')


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
def test_every_kind_reads_as_a_sentence_in_which_its_fields_stand(kind: EventKind) -> None:
    fields = [name for _, name, _, _ in string.Formatter().parse(kind.text) if name]
    assert all(name.isidentifier() for name in fields)
    assert not set(fields) & set(kind.more)
    assert not set(kind.more) & set(kind.optional)
    title_fields = [name for _, name, _, _ in string.Formatter().parse(kind.title) if name]
    assert set(title_fields) <= {*fields, *kind.more}


def test_only_the_levels_asked_for_are_shown_and_a_progress_line_gives_way() -> None:
    out = io.StringIO()
    log = Log(out, "warn", "text")
    assert [level for level in LEVELS if log.wants("x", level)] == ["warn", "error"]
    log.progress("50 %")
    log(event(level="error", text="bad"))
    log.progress("")
    assert out.getvalue() == ("\r\x1b[K50 %\r\x1b[K2026-01-02T03:04:05.678Z ERROR [x] bad\n50 %\r\x1b[K")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    out = io.StringIO()
    out.close()
    Log(out, "debug", "text")(event())
