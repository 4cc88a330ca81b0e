"""The Slack that the tests talk to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dewy.urls import parse_url
from dewy_notifier_slack.api import SlackApi
from dewy_notifier_slack.notifier import SlackNotifier
from dewy_notifier_slack.plugin import NOTIFIER
from dewy_notifier_slack.settings import Settings
from slack_server import SlackServer

Opens = Callable[..., SlackNotifier]


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine's stands between: the SDK takes them from the process's environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """A workspace whose channels #deploys and #general the app is in."""
    server = SlackServer()
    yield server
    server.close()


@pytest.fixture
def opens(slack: SlackServer) -> Opens:
    """Opens notifiers for that workspace."""

    def open_notifier(url: str = "slack://deploys", patience: float = 10.0) -> SlackNotifier:
        settings = Settings.read(parse_url(url, NOTIFIER.options, kind="notifier"), slack.environ)
        return SlackNotifier(settings, SlackApi(settings, patience=patience))

    return open_notifier
