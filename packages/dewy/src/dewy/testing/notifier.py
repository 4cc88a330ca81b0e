"""What a notifier is held to: a message arrives once and says what it should, or there is an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Protocol

import pytest

from dewy.errors import NotifierError
from dewy.testing.backend import BackendConformance, needs
from dewy.testing.context import TestContext
from dewy.testing.failures import fails_well
from dewy.types import Level, Message, Notifier

__all__ = ["Inbox", "NotifierConformance"]

_MESSAGE = Message(
    event="deployment.done",
    level="info",
    title="myapp is at v1.4.0 on web1",
    text="Deployed in 2.1s, before it was v1.3.9.",
    application="myapp",
    host="web1",
    at=datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC),
    version="v1.4.0",
    previous_version="v1.3.9",
    registry="s3://us-east-1/releases/myapp",
    seconds=2.1,
)
_FAILURE = replace(
    _MESSAGE,
    event="deployment.failed",
    level="error",
    title="myapp could not be deployed on web1",
    text="v1.4.0 is not ready; v1.3.9 serves on.",
    hook="./migrate.sh --all",
    output="line\n" * 50,
    error="the application did not start",
)


class Inbox(Protocol):
    """Where messages arrive, in a test: a server of the medium's protocol."""

    @property
    def url(self) -> str:
        """The notifier URL that leads to it."""

    def received(self) -> Sequence[str]:
        """The messages that arrived, each as one text, decoded as a person's client would show it."""

    def refuse(self) -> None:
        """Has the medium refuse every message from now on."""


class NotifierConformance(BackendConformance):
    """Subclass it, set ``backend`` and ``plugin``, and override the fixtures ``inbox`` and ``unreachable``."""

    __test__ = False
    hook = "dewy_notifiers"
    kind = "notifier"

    refuses: ClassVar[bool] = True
    """Whether the medium can refuse a message. False for one that never answers."""

    arrival: ClassVar[float] = 10.0
    """Seconds within which a message that was sent has arrived."""

    remote: ClassVar[bool] = True
    """Whether the medium is another process that can be down."""

    @pytest.fixture
    def inbox(self) -> Inbox:
        """An empty inbox, to be overridden."""
        raise NotImplementedError("override the fixture 'inbox'")

    @pytest.fixture
    def unreachable(self) -> str:
        """A URL at which nobody answers, to be overridden if ``remote``."""
        raise NotImplementedError("override the fixture 'unreachable'")

    @pytest.fixture
    def notifier(self, inbox: Inbox, context: TestContext) -> Notifier:
        """The notifier that leads to the inbox."""
        notifier: Notifier = self.open(inbox.url, context)
        return notifier

    @pytest.mark.parametrize("message", [_MESSAGE, _FAILURE], ids=["done", "failed"])
    def test_message_arrives_once(self, inbox: Inbox, notifier: Notifier, message: Message) -> None:
        """With its title and its text, so that the reader knows what happened where."""
        notifier.send(message)
        (text,) = self._arrived(inbox, 1)
        for part in (message.title, message.text, message.host, message.version):
            assert _words(part) in _words(text), f"{part!r} is not in what arrived: {text!r}"

    @pytest.mark.parametrize("level", ["debug", "info", "warn", "error"])
    def test_every_level_arrives(self, inbox: Inbox, notifier: Notifier, level: Level) -> None:
        """What is told at all was decided before."""
        notifier.send(replace(_MESSAGE, level=level))
        assert len(self._arrived(inbox, 1)) == 1

    def test_messages_keep_their_order(self, inbox: Inbox, notifier: Notifier) -> None:
        """One object sends them all."""
        for number in range(3):
            notifier.send(replace(_MESSAGE, title=f"message number {number}"))
        texts = self._arrived(inbox, 3)
        assert [f"message number {number}" in _words(text) for number, text in enumerate(texts)] == [True] * 3

    def test_little_is_enough(self, inbox: Inbox, notifier: Notifier) -> None:
        """Most fields may be empty."""
        least = Message(event="log", level="info", title="dewy starts", text="", application="", host="web1", at=_MESSAGE.at)
        notifier.send(least)
        assert "dewy starts" in _words(self._arrived(inbox, 1)[0])

    def test_odd_texts_arrive(self, inbox: Inbox, notifier: Notifier) -> None:
        """An application may print anything: other alphabets, markup, mail headers, control characters."""
        output = "příliš žluťoučký <!channel> & <b>\"'`*_ \x1b[31m \x00\r\n.\r\nBcc: everybody@example.org\r\n" + "€" * 1000
        notifier.send(replace(_FAILURE, title="myapp 🚀 & co", text="naïve café <tag>", output=output))
        text = _words(self._arrived(inbox, 1)[0])
        for part in ("🚀", "naïve café"):
            assert part in text, f"other alphabets do not arrive: {text[:300]!r}"

    def test_long_output_arrives(self, inbox: Inbox, notifier: Notifier) -> None:
        """Whatever the medium's limit: what is too long is cut, and the message arrives."""
        notifier.send(replace(_FAILURE, output="a line of output\n" * 60_000))
        assert _words(_FAILURE.title) in _words(self._arrived(inbox, 1)[0])

    def test_line_ends_in_the_title_do_no_harm(self, inbox: Inbox, notifier: Notifier) -> None:
        """A title may end up in a header: nothing can be smuggled in by it."""
        notifier.send(replace(_MESSAGE, title="myapp\r\nBcc: everybody@example.org"))
        assert len(self._arrived(inbox, 1)) == 1

    def test_any_thread_may_send(self, inbox: Inbox, notifier: Notifier) -> None:
        """Messages are sent from a thread of their own."""
        thread = threading.Thread(target=notifier.send, args=(_MESSAGE,))
        thread.start()
        thread.join()
        assert len(self._arrived(inbox, 1)) == 1

    def test_nothing_secret_is_sent(self, inbox: Inbox, notifier: Notifier, context: TestContext) -> None:
        """A token or password of the URL or the environment is no news."""
        notifier.send(_FAILURE)
        text = self._arrived(inbox, 1)[0]
        for secret in context.secrets:
            assert secret not in text, "the message holds a secret"

    @needs("refuses")
    def test_refused_is_an_error(self, inbox: Inbox, notifier: Notifier, context: TestContext) -> None:
        """So that dewy can try again, and log what nobody was told."""
        inbox.refuse()
        with fails_well(NotifierError, within=self.patience, secrets=context.secrets):
            notifier.send(_MESSAGE)

    @needs("remote")
    def test_unreachable_is_an_error(self, unreachable: str, context: TestContext) -> None:
        """Soon: the next message waits."""
        notifier: Notifier = self.open(unreachable, context)
        with fails_well(NotifierError, within=self.patience, secrets=context.secrets):
            notifier.send(_MESSAGE)

    def _arrived(self, inbox: Inbox, number: int) -> list[str]:
        """What arrived, which should be so many messages; some media take a moment."""
        deadline = time.monotonic() + self.arrival
        while len(inbox.received()) < number and time.monotonic() < deadline:
            time.sleep(0.02)
        texts = list(inbox.received())
        assert len(texts) == number, f"{len(texts)} messages arrived of {number} that were sent"
        return texts


def _words(text: str) -> str:
    """A text with its white space made single blanks: media break lines as they like."""
    return " ".join(text.split())
