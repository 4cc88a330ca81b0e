"""Slack's Web API as the notifier needs it: three calls, none of which takes longer than it may."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from dewy_notifier_slack.client import Client
from dewy_notifier_slack.faults import SlackError, busy, error_of

if TYPE_CHECKING:
    from slack_sdk.web import SlackResponse

    from dewy_notifier_slack.settings import Settings

__all__ = ["Calls", "SlackApi"]

_PATIENCE = 30.0
_OPERATION = 10
"""Seconds that one operation on the network may take: a connection, a read."""

_MOST_HANGING = 4
_PAGE = 999  # the most that conversations.list takes
_MOST_PAGES = 20


class SlackApi:
    """The SDK's client, held to a time.

    The SDK limits each operation on the network, which a server that answers byte by byte never exceeds. So every call is
    made in a thread of its own, which is left behind when its time is over; at most four such threads hang at any time.

    Args:
        settings: Where the API is, and the token.
        patience: Seconds that all calls of one message may take together.
    """

    def __init__(self, settings: Settings, *, patience: float = _PATIENCE) -> None:
        self.url = settings.api_url
        self.client = Client(
            settings.token,
            base_url=settings.api_url.rstrip("/") + "/",  # older versions of the SDK want the slash
            timeout=_OPERATION,
            retry_handlers=[],  # dewy tries again, and knows how long Slack asked to wait
            logger=_silent(),
        )
        self._patience = patience
        self._free = threading.BoundedSemaphore(_MOST_HANGING)

    def begin(self) -> Calls:
        """The calls for one message; their time begins now."""
        return Calls(self, time.monotonic() + self._patience)

    def call(self, method: Callable[[], SlackResponse], doing: str, seconds: float) -> dict[str, Any]:
        """What a method of the SDK answers.

        Args:
            method: The call.
            doing: What fails if it fails, the beginning of a sentence.
            seconds: How long to wait for it.

        Raises:
            SlackError: It failed, or did not come back in time.
        """
        try:
            if seconds <= 0:
                raise TimeoutError
            data = self._started(method, doing).result(seconds).data
            if not isinstance(data, dict):  # for the type checker: the SDK has answers of bytes, too
                raise TypeError
        except SlackError:
            raise
        except Exception as error:
            # the cause is not chained: a traceback of the SDK's may hold the request's headers
            raise error_of(error, doing, self.url) from None
        return data

    def _started(self, method: Callable[[], SlackResponse], doing: str) -> Future[SlackResponse]:
        if not self._free.acquire(blocking=False):
            raise busy(doing)
        answer: Future[SlackResponse] = Future()

        def run() -> None:
            try:
                answer.set_result(method())
            except BaseException as error:
                answer.set_exception(error)  # to be raised where it is waited for
            finally:
                self._free.release()

        try:
            threading.Thread(target=run, name="slack", daemon=True).start()
        except RuntimeError:  # the system has no thread to give
            self._free.release()
            raise
        return answer


class Calls:
    """The calls for one message. Each raises SlackError when it fails, or when the time for all of them is over."""

    def __init__(self, api: SlackApi, deadline: float) -> None:
        self._api, self._deadline = api, deadline

    def post(self, channel: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """``chat.postMessage``: the answer, with ``ts``, by which others reply to it, and the channel's ID."""
        client = self._api.client
        return self._call(
            lambda: client.chat_postMessage(channel=channel, **arguments), f"Slack did not take the message for {channel}"
        )

    def join(self, channel: str, channel_id: str) -> None:
        """``conversations.join``, which takes an ID and is for public channels."""
        client = self._api.client
        self._call(
            lambda: client.conversations_join(channel=channel_id),
            f"dewy is not in the Slack channel {channel} and could not join it",
        )

    def find(self, name: str) -> str:
        """The ID of a public channel by ``conversations.list``; empty when there is none of that name."""
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = self._page(name, cursor)
            for channel in _list(page.get("channels")):
                if name in (_dict(channel).get("name"), _dict(channel).get("name_normalized")):
                    return str(_dict(channel).get("id") or "")
            cursor = _dict(page.get("response_metadata")).get("next_cursor")
            if not cursor:
                break
        return ""

    def _page(self, name: str, cursor: str | None) -> dict[str, Any]:
        client = self._api.client
        return self._call(
            lambda: client.conversations_list(
                types="public_channel", exclude_archived=True, limit=_PAGE, **({"cursor": cursor} if cursor else {})
            ),
            f"dewy is not in the Slack channel #{name} and could not look up its ID to join it",
        )

    def _call(self, method: Callable[[], SlackResponse], doing: str) -> dict[str, Any]:
        return self._api.call(method, doing, self._deadline - time.monotonic())


def _list(part: object) -> list[Any]:
    return part if isinstance(part, list) else []


def _dict(part: object) -> dict[str, Any]:
    return part if isinstance(part, dict) else {}


def _silent() -> logging.Logger:
    """A logger of nobody's: the SDK would log failures, which dewy says itself, and proxies with their passwords."""
    logger = logging.Logger("slack")
    logger.disabled = True
    logger.setLevel(logging.CRITICAL)
    return logger
