"""Tells messages in a Slack channel, and keeps those of one deployment together."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from dewy.types import Message
from dewy_notifier_slack.api import SlackApi
from dewy_notifier_slack.delivery import Delivery, Membership
from dewy_notifier_slack.rendering import render
from dewy_notifier_slack.settings import Settings

__all__ = ["SlackNotifier"]

_MOST_THREADS = 100

_FOR_THE_CHANNEL = frozenset({"deployment.done"})
"""Messages of a thread that the channel sees too, besides errors: whoever reads only the channel wants to know the end."""


class SlackNotifier:
    """A Slack channel.

    Args:
        settings: Which channel, by which token, in what form.
        api: Slack; reached as the settings say unless given.
    """

    def __init__(self, settings: Settings, api: SlackApi | None = None) -> None:
        self._settings = settings
        self._api = api or SlackApi(settings)
        self._membership = Membership(settings.channel)
        self._roots: OrderedDict[str, str] = OrderedDict()

    def send(self, message: Message) -> None:
        """Posts a message. Raises NotifierError when Slack did not take it, or did not say so within half a minute."""
        post = render(message, title=self._settings.title, url=self._settings.link)
        delivery = Delivery(self._api.begin(), self._membership, post, self._place(message))
        answer = delivery.run()
        if self._settings.thread and message.deployment and not delivery.replies:
            self._remember(message.deployment, answer)

    def _place(self, message: Message) -> dict[str, Any]:
        """Where in the channel a message belongs: in its deployment's thread, if there is one."""
        root = self._roots.get(message.deployment)
        if not root:
            return {}
        return {"thread_ts": root, "reply_broadcast": message.level == "error" or message.event in _FOR_THE_CHANNEL}

    def _remember(self, deployment: str, answer: dict[str, Any]) -> None:
        """Keeps which message of a deployment begins the thread that later ones go into."""
        root = answer.get("ts")
        if not isinstance(root, str):
            return
        self._roots[deployment] = root
        if len(self._roots) > _MOST_THREADS:
            self._roots.popitem(last=False)
