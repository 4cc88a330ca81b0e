"""Telling people."""

from __future__ import annotations

from datetime import UTC, datetime

from dewy import events
from dewy.errors import NotifierError
from dewy.events import EventKind
from dewy.notify import ErrorLimit, Facts, NotifierConsumer, message_of
from dewy.testing import Recorder
from dewy.types import Event, FieldValue, Message

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
    limit, started = ErrorLimit(), message_of(event(events.DEWY_STOPPED, application="shop", seconds=1), FACTS)
    error = message_of(failed(), FACTS)
    assert error
    assert started
    for _ in range(5):
        limit(error)
    assert limit(started) is started


def test_a_failed_delivery_is_tried_again_with_growing_waits() -> None:
    outbox, waits, said = Outbox(failures=2), list[float](), Recorder()
    NotifierConsumer(outbox, "test", FACTS, said, waits.append)(done())
    assert len(outbox.messages) == 1
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2
    assert said.names == []


def test_a_notifier_that_asks_to_wait_is_obeyed_within_a_bound() -> None:
    outbox, waits = Outbox(failures=2, error=NotifierError("slow down", retry_after=7)), list[float]()
    NotifierConsumer(outbox, "test", FACTS, Recorder(), waits.append)(done())
    assert waits == [7, 7]
    outbox = Outbox(failures=1, error=NotifierError("slow down", retry_after=86400))
    NotifierConsumer(outbox, "test", FACTS, Recorder(), waits.append)(done())
    assert waits[-1] == 30


def test_a_message_that_cannot_be_delivered_is_in_the_log_and_the_next_one_is_tried() -> None:
    outbox, said = Outbox(failures=4, error=ValueError("broken plugin")), Recorder()
    consumer = NotifierConsumer(outbox, "test", FACTS, said, lambda _seconds: None)
    consumer(done())
    consumer(failed())
    assert said.texts() == ["test could not be told of deployment.done: broken plugin"]
    assert [message.event for message in outbox.messages] == ["deployment.failed"]
