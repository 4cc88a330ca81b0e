"""What a status means, in words a person can act on."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from dewy.http.response import Response

__all__ = ["refusal"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_MOST_SAID = 200


def refusal(host: str, method: str, response: Response, *, authorised: bool) -> tuple[str, str]:
    """The message and the hint for an answer that is a failure.

    Args:
        host: As texts name it.
        method: The request's.
        response: The answer.
        authorised: Credentials were sent.
    """
    status, url = response.status, response.shown
    message, hint = f"{host} answered {_named(status)} to {method} {url}", ""
    match status:
        case 401 if authorised:
            message = f"{host} does not accept the credentials for {url} (401)"
            hint = "Check the token or password: it may be wrong, expired or revoked"
        case 401:
            message, hint = f"{host} wants credentials for {url} (401)", "Give a token or a user and password"
        case 403:
            message = f"{host} refuses {method} {url} (403)"
            hint = "The credentials do not have the right to it" if authorised else "It may need credentials"
        case 404 | 410:
            message = f"{host} has nothing at {url} ({status})"
            hint = "Check the name; many servers answer so for what the credentials may not see"
        case 407:
            message = f"the proxy wants credentials for {url} (407)"
            hint = "Give them in HTTPS_PROXY or HTTP_PROXY, as http://user:password@proxy:port"
        case _ if 300 <= status < 400:
            hint = "That is a redirect that leads nowhere, or one that a request of this kind does not follow"
        case _ if status >= 500:
            message, hint = f"{host} fails with {_named(status)} on {method} {url}", "The fault is on its side"
    said = _said(response)
    return (f"{message}: {said}" if said else message), hint


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _said(response: Response) -> str:
    """The server's own short word: the first line of plain text, or ``message`` or ``error`` of a JSON object."""
    kind = response.headers.get("content-type", "").lower()
    said: object = ""
    if kind.startswith("text/plain"):
        said = response.text.strip().partition("\n")[0]
    elif "json" in kind:
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            said = body.get("message") or body.get("error")
    text = _CONTROL.sub(" ", said).strip(" .") if isinstance(said, str) else ""
    return text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}…"
