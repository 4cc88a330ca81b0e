"""People who are told by a running dewy: a Slack workspace, a mail server, and servers that are of no use to anybody."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from dewy.events import EVENTS
from dewy.host import host_name
from mail_server import Behaviour, Delivered, MailServer
from slack_server import Posted, SlackServer
from slack_view import shown

PASSWORD = "canary-p@ss/w%25"
"""As the mail server knows it; in a URL its ``%`` stands for itself."""


class People:
    """A Slack workspace with the channels #deploys and #general, and a mail server that wants a login."""

    def __init__(self, slack: SlackServer, mail: MailServer) -> None:
        self.slack, self.mail = slack, mail
        self.mail_url = f"mail://{mail.address}/ops@example.com?from=dewy@example.com&tls=false"
        self.environ = {
            **slack.environ,
            "MAIL_USERNAME": "dewy@example.com",
            "MAIL_PASSWORD": PASSWORD,
            "NO_PROXY": "127.0.0.1",
        }

    def posted(self, channel: str = "deploys") -> list[Posted]:
        """What stands in a channel, in order."""
        return [posted for posted in list(self.slack.posted) if posted.channel.name == channel]

    def mails(self) -> list[Delivered]:
        """What has arrived by mail, in order."""
        return list(self.mail.delivered)

    def everything(self) -> str:
        """All that anybody was shown, and more."""
        texts = [f"{posted.request} {posted.shown}" for posted in list(self.slack.posted)]
        texts += [f"{one.content!r} {one.part('plain')} {one.part('html')}" for one in self.mails()]
        return "\n".join(texts)


@contextmanager
def people() -> Iterator[People]:
    """Slack and mail for the time of the block."""
    slack = SlackServer()
    try:
        with MailServer(Behaviour({"dewy@example.com": PASSWORD}, login_needed=True)) as mail:
            yield People(slack, mail)
    finally:
        slack.close()


def title(application: str, event: str, **fields: Any) -> str:
    """The title under which people are told of an event."""
    return f"{application} on {host_name()}: {EVENTS[event].title.format_map(fields)}"


def titles(posts: list[Posted]) -> list[str]:
    """The first lines of posts."""
    return [shown({"text": posted.request["text"]}) for posted in posts]


class SilentServer:
    """Takes every connection and never says a word, until the end of the ``with`` block."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._thread.join(10)
        for held in (self._listener, *self._held):
            held.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._held.append(self._listener.accept()[0])

    @property
    def holds(self) -> int:
        """How many connections there are whose other end still waits."""
        return sum(map(_is_open, list(self._held)))


def _is_open(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True  # nothing to read, and no end either
    except OSError:
        return False
