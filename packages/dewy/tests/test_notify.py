"""Telling people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dewy import events
from dewy.errors import NotifierError
from dewy.events import EventKind
from dewy.guard import Guard
from dewy.notify import ErrorLimit, Facts, NotifierConsumer, message_of
from dewy.redaction import Redactor
from dewy.scope import within
from dewy.stream import EventStream
from dewy.testing import Recorder
from dewy.types import Event, FieldValue, Message
from dewy.waker import Waker

FACTS = Facts(application="shop", host="web1", registry="file:///srv/shop")


def event(kind: EventKind, **fields: FieldValue) -> Event:
    return Event(
        name=kind.name,
        level=kind.level,
        text=kind.text.format_map(fields),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        fields=fields,
    )


def failed(version: str = "v2") -> Event:
    return event(
        events.DEPLOYMENT_FAILED,
        version=version, error="it exited at once", phase="start", previous_version="v1", keeps="v1 runs on",
        next="it is tried again in 20s",
    )  # fmt: skip


def done() -> Event:
    return event(
        events.DEPLOYMENT_DONE,
        version="v2", previous_version="v1", seconds=1.5, artifact="a.tar.gz", digest="sha256:0", directory="d",
    )  # fmt: skip


class Outbox:
    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.failures, self.error, self.messages = failures, error or NotifierError("busy"), list[Message]()

    def send(self, message: Message) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error
        self.messages.append(message)


def test_a_message_says_what_where_and_from_what() -> None:
    message = message_of(done(), FACTS)
    assert message is not None
    assert message.title == "shop on web1: v2 is deployed"
    assert message.text == "v2 is deployed (before: v1) in 1.5s"
    assert (message.version, message.previous_version, message.seconds) == ("v2", "v1", 1.5)
    assert (message.application, message.host, message.registry) == ("shop", "web1", "file:///srv/shop")


def test_what_is_only_for_the_log_is_not_told() -> None:
    assert message_of(event(events.REPORT_DONE, version="v1"), FACTS) is None


def test_three_errors_are_told_then_none_until_a_success() -> None:
    limit = ErrorLimit()
    error, success = message_of(failed(), FACTS), message_of(done(), FACTS)
    assert error
    assert success
    told = [limit(message) for message in (error, error, error, error, success, error)]
    assert [message is not None for message in told] == [True, True, True, False, True, True]
    assert told[2] is not None
    assert told[2].text.endswith("Further errors are not told until something goes well again.")


def test_an_error_that_is_not_told_mutes_no_other_message() -> None:
    limit, started = ErrorLimit(), message_of(event(events.DEWY_STOPPED, reason="SIGTERM", keeps="it stays"), FACTS)
    error = message_of(failed(), FACTS)
    assert error
    assert started
    for _ in range(5):
        limit(error)
    assert limit(started) is started


def test_a_failed_delivery_is_tried_again_with_growing_waits() -> None:
    outbox, waits, said = Outbox(failures=2), list[float](), Recorder()
    NotifierConsumer(outbox, "test", FACTS, said, sleep=waits.append)(done())
    assert len(outbox.messages) == 1
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2
    assert said.names == []


def test_a_notifier_that_asks_to_wait_is_obeyed_within_a_bound() -> None:
    outbox, waits = Outbox(failures=2, error=NotifierError("slow down", retry_after=7)), list[float]()
    NotifierConsumer(outbox, "test", FACTS, Recorder(), sleep=waits.append)(done())
    assert waits == [7, 7]
    outbox = Outbox(failures=1, error=NotifierError("slow down", retry_after=86400))
    NotifierConsumer(outbox, "test", FACTS, Recorder(), sleep=waits.append)(done())
    assert waits[-1] == 30


def test_a_message_that_cannot_be_delivered_is_in_the_log_and_the_next_one_is_tried() -> None:
    outbox, said = Outbox(failures=4, error=ValueError("broken plugin")), Recorder()
    consumer = NotifierConsumer(outbox, "test", FACTS, said, sleep=lambda _seconds: None)
    consumer(done())
    consumer(failed())
    assert said.texts() == ["test could not be told of deployment.done (tries: 4): broken plugin"]
    assert [message.event for message in outbox.messages] == ["deployment.failed"]


def test_all_that_is_said_during_a_deployment_belongs_to_it_whoever_says_it() -> None:
    """Also from the thread in which a plugin is called; and nothing after it does."""
    said: list[Event] = []
    stream = EventStream(Redactor({}))
    stream.subscribe("test", said.append)
    guard = Guard(Waker())
    hook: dict[str, FieldValue] = {
        "phase": "before", "version": "v2", "seconds": 1.0, "hook": "./migrate", "output": "x", "output_size": 70_000,
        "status": 3,
    }  # fmt: skip
    with within(deployment="20240315T143022Z", previous_version="v1"):
        guard.call("a plugin", "testing", lambda: stream.emit(events.HOOK_FAILED, error="failed", **hook), limit=10)
    stream.emit(events.REGISTRY_RECOVERED, failures=1)
    stream.close(10)
    inside, outside = (message_of(event, FACTS) for event in said)
    assert inside
    assert outside
    assert (inside.deployment, inside.previous_version) == ("20240315T143022Z", "v1")
    assert (inside.status, inside.output_size, inside.hook) == (3, 70_000, "./migrate")
    assert (outside.deployment, outside.previous_version, outside.status) == ("", "", None)


def test_what_goes_wrong_in_one_deployment_counts_once() -> None:
    limit = ErrorLimit()
    told = []
    for number in range(4):
        for _ in range(3):
            message = message_of(failed(), FACTS)
            assert message
            told.append(limit(replace(message, deployment=f"d{number}")))
    assert [message is not None for message in told] == [True] * 9 + [False] * 3
    assert "Further errors" in told[6].text  # type: ignore[union-attr]


def test_a_quiet_notifier_tells_what_matters() -> None:
    outbox = Outbox()
    consumer = NotifierConsumer(outbox, "test", FACTS, Recorder(), quiet=True)
    for one in (event(events.DEWY_STOPPED, reason="SIGTERM", keeps="it stays"), done(), failed()):
        consumer(one)
    assert [message.event for message in outbox.messages] == ["deployment.done", "deployment.failed"]


def test_what_would_fail_again_is_not_tried_again() -> None:
    outbox, said, waits = (
        Outbox(failures=1, error=NotifierError("wrong password", permanent=True)),
        Recorder(),
        list[float](),
    )
    NotifierConsumer(outbox, "test", FACTS, said, sleep=waits.append)(done())
    assert waits == []
    assert said.of(events.NOTIFIER_FAILED)[0]["attempts"] == 1
