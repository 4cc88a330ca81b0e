"""The SDK's client on a transport that keeps the token to itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPErrorProcessor, Request, build_opener

from slack_sdk.web import SlackResponse, WebClient

__all__ = ["Client"]

_MOST_BYTES = 16 << 20
"""Of one answer; the longest, a page of channels, has some 2 MiB."""


class _AsItIs(HTTPErrorProcessor):
    """Gives back every answer as it came, whatever its status: no redirect is followed, and no error raised."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        """Called by urllib with each answer."""
        return response

    https_response = http_response


class Client(WebClient):
    """The SDK's client, whose every method ends in ``api_call``.

    The SDK's own ``api_call`` follows redirects as urllib does: it shows the token to whatever host it is led to, drops the
    message, and takes that host's answer for Slack's. Slack's API redirects nobody.
    """

    def __init__(self, token: str, **settings: Any) -> None:
        super().__init__(**settings)  # without the token: whatever else the SDK sends, it is not in it
        self._authorization = f"Bearer {token}"
        self._opener = build_opener(_AsItIs)

    def api_call(
        self,
        api_method: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        **_http_verb: Any,
    ) -> SlackResponse:
        """Calls a method with arguments in one form or the other; by POST, which Slack takes for each.

        Raises:
            SlackApiError: The answer is not ``ok``, or is none of Slack's.
            OSError: There is none.
            HTTPException: It broke off, or is none of HTTP.
        """
        url = self.base_url + api_method
        request = Request(url, *_body(json, params), method="POST")  # noqa: S310 - the base URL's scheme was checked
        request.add_header("Authorization", self._authorization)
        request.add_header("User-Agent", self.headers["User-Agent"])
        answer: HTTPResponse
        with self._opener.open(request, timeout=self.timeout) as answer:
            body = answer.read(_MOST_BYTES)
            if answer.length:  # of what was announced
                raise IncompleteRead(body, answer.length)
        response = SlackResponse(
            client=self, http_verb="POST", api_url=url, req_args={}, data=_object(body),
            headers=dict(answer.headers), status_code=answer.status,
        )  # fmt: skip
        response.validate()  # type: ignore[no-untyped-call]
        return response


def _body(document: Mapping[str, Any] | None, form: Mapping[str, Any] | None) -> tuple[bytes, dict[str, str]]:
    """What is sent, and the header that says in which form."""
    if document is not None:
        return json.dumps(document).encode(), {"Content-Type": "application/json; charset=utf-8"}
    given = {name: int(value) if isinstance(value, bool) else value for name, value in (form or {}).items()}
    fields = urlencode({name: value for name, value in given.items() if value is not None})
    return fields.encode(), {"Content-Type": "application/x-www-form-urlencoded"}


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is; empty for anything else, which the SDK takes for a refusal without a word."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
