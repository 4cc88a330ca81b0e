"""The notifier is held to what dewy expects of every notifier, through the real SDK against a server like Slack."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dewy.testing import NotifierConformance
from dewy_notifier_slack.plugin import NOTIFIER
from slack_server import Fault, SlackServer
from slack_view import mentions


class _Inbox:
    """A channel, read as a person would."""

    url = "slack://deploys"

    def __init__(self, slack: SlackServer) -> None:
        self._slack = slack

    def received(self) -> Sequence[str]:
        assert not any(mentions(posted.request) for posted in self._slack.posted), "a message calls somebody"
        return [posted.shown for posted in self._slack.posted]

    def refuse(self) -> None:
        self._slack.always = Fault.error("restricted_action")


class TestSlack(NotifierConformance):
    """The kit's tests; everything that is theirs stands in the base class."""

    backend = NOTIFIER
    plugin = "dewy_notifier_slack.plugin"

    @pytest.fixture
    def environ(self, slack: SlackServer) -> dict[str, str]:
        return slack.environ

    @pytest.fixture
    def inbox(self, slack: SlackServer) -> _Inbox:
        return _Inbox(slack)

    @pytest.fixture
    def unreachable(self, slack: SlackServer) -> str:
        """The address of a server that has gone."""
        slack.close()
        return "slack://deploys"
