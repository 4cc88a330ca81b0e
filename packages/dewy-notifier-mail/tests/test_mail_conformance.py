"""The conformance kit, on a real mail server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dewy.testing import NotifierConformance
from dewy_notifier_mail.plugin import NOTIFIER
from mail_server import MailServer


class MailInbox:
    """What arrives at a mail server, as a mail program shows it."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        return f"mail://dewy%40example.com:canary-of-the-url@{self._server.address}/ops@example.com?tls=false"

    def received(self) -> list[str]:
        return [f"{one.mail['Subject']}\n\n{one.part('plain')}" for one in self._server.delivered]

    def refuse(self) -> None:
        self._server.behaviour.replies["RCPT"] = "550 5.1.1 No such user"


class TestMail(NotifierConformance):
    backend = NOTIFIER
    plugin = "dewy_notifier_mail.plugin"

    @pytest.fixture
    def inbox(self) -> Iterator[MailInbox]:
        with MailServer() as server:
            server.behaviour.users = {"dewy@example.com": "canary-of-the-url"}
            yield MailInbox(server)

    @pytest.fixture
    def unreachable(self) -> str:
        return "mail://127.0.0.1:1/ops@example.com?from=dewy@example.com&tls=false"
