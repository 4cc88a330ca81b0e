"""One message on its way to Slack: posted, and posted again where Slack refuses for a reason that can be mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dewy_notifier_slack.api import Calls
from dewy_notifier_slack.faults import SlackError
from dewy_notifier_slack.rendering import Post
from dewy_notifier_slack.settings import Channel

__all__ = ["Delivery", "Membership"]

_ALWAYS: Mapping[str, Any] = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
"""What every post says: nothing in it is looked up, linked or previewed by Slack itself."""


class Membership:
    """What is known of the channel, and how to get into it.

    Args:
        channel: The channel as the user named it.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = str(channel)
        self._name = channel.name
        self._id = channel.id

    def learn(self, answer: Mapping[str, Any]) -> None:
        """Takes the channel's ID from the answer to a post, so that it need not be looked up."""
        self._id = str(answer.get("channel") or "") or self._id

    def join(self, calls: Calls) -> None:
        """Joins the channel, by its ID. Raises SlackError when that fails."""
        if not self._id:
            self._id = calls.find(self._name)
        if not self._id:
            raise SlackError(
                f"dewy is not in the Slack channel {self.channel} and finds no public channel of that name to join",
                "Invite the app in the channel (/invite @APP), or write the channel's ID in the URL",
                permanent=True,
            )
        calls.join(self.channel, self._id)


class Delivery:
    """One message on its way.

    Args:
        calls: Slack, for as long as this message may take.
        membership: The channel.
        post: What is posted.
        place: The arguments that say in which thread.
    """

    def __init__(self, calls: Calls, membership: Membership, post: Post, place: Mapping[str, Any]) -> None:
        self._calls, self._membership, self._post = calls, membership, post
        self._arguments: dict[str, Any] = {"text": post.text, "attachments": [post.attachment], **place, **_ALWAYS}

    @property
    def replies(self) -> bool:
        """Whether it goes into a thread; no longer so when the thread turned out to take no reply."""
        return "thread_ts" in self._arguments

    def run(self) -> dict[str, Any]:
        """Posts; each remedy is tried once. Slack's answer. Raises SlackError when Slack does not take the message."""
        tried: set[Callable[[Delivery], None]] = set()
        while True:
            try:
                answer = self._calls.post(self._membership.channel, self._arguments)
            except SlackError as error:
                remedy = _REMEDIES.get(error.code)
                if remedy is None or remedy in tried:
                    raise
                tried.add(remedy)
                remedy(self)
            else:
                self._membership.learn(answer)
                return answer

    def join(self) -> None:
        """Joins the channel."""
        self._membership.join(self._calls)

    def leave_thread(self) -> None:
        """Into the channel itself, as the thread takes no reply."""
        self._arguments = {name: value for name, value in self._arguments.items() if name not in _THREAD}

    def go_plain(self) -> None:
        """Text only, as Slack does not take the attachment: less to look at, but it arrives."""
        del self._arguments["attachments"]
        self._arguments["text"] = self._post.plain


_THREAD = ("thread_ts", "reply_broadcast")

_NO_THREAD = (
    "cannot_reply_to_message",
    "invalid_thread_ts",
    "message_not_found",
    "restricted_action_non_threadable_channel",
    "restricted_action_thread_locked",
    "thread_not_found",
)
"""Slack's words for a thread that takes no reply."""

_NOT_SHOWN = (
    "attachment_payload_limit_exceeded",
    "invalid_attachments",
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "msg_too_long",
    "too_many_attachments",
)
"""Slack's words for an attachment that it does not take."""

_REMEDIES: Mapping[str, Callable[[Delivery], None]] = {
    "not_in_channel": Delivery.join,
    **dict.fromkeys(_NO_THREAD, Delivery.leave_thread),
    **dict.fromkeys(_NOT_SHOWN, Delivery.go_plain),
}
"""What to do about a refusal, by Slack's word for it."""
