"""The servers and certificates that the tests work with."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_notifier_mail.account import account_of
from dewy_notifier_mail.notifier import MailNotifier
from dewy_notifier_mail.plugin import NOTIFIER
from dewy_notifier_mail.session import LIMITS, Limits
from dewy_notifier_mail.trust import trust_of
from mail_server import MailServer

Opens = Callable[..., MailNotifier]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that no system knows."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    """What a server at 127.0.0.1, ::1 or localhost shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "::1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def serve() -> Iterator[Callable[..., MailServer]]:
    """Starts mail servers, which end with the test."""
    with ExitStack() as open_servers:
        yield lambda *arguments, **details: open_servers.enter_context(MailServer(*arguments, **details))


@pytest.fixture
def context(tmp_path: Path) -> TestContext:
    """What dewy lends to the backend."""
    return TestContext(tmp_path / "context")


@pytest.fixture
def opens(tmp_path: Path) -> Opens:
    """Opens a notifier URL as the backend does, with limits of one's own."""

    def open_url(
        url: str, environ: Mapping[str, str] | None = None, limits: Limits = LIMITS, **details: Any
    ) -> MailNotifier:
        parsed = parse_url(url, NOTIFIER.options, kind="notifier")
        account = account_of(parsed, environ or {})
        return MailNotifier(account, trust_of(account, environ or {}), limits, **details)

    return open_url
