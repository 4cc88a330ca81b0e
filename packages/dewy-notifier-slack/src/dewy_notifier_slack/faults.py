"""What went wrong with Slack, in words a person can act on.

No text of a library's exception comes out as it is: it may quote a header, and with it the token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.errors import SlackApiError

from dewy.errors import NotifierError

__all__ = ["SlackError", "busy", "error_of"]


class SlackError(NotifierError):
    """Slack did not do what it was asked.

    Args:
        message: As in :class:`dewy.errors.DewyError`.
        hint: As in :class:`dewy.errors.DewyError`.
        code: Slack's own word for the reason, ``not_in_channel`` say; empty where it gave none.
        retry_after: Seconds that Slack asked to wait; None when it did not say.
        permanent: As in :class:`dewy.errors.NotifierError`.
    """

    def __init__(
        self, message: str, hint: str = "", *, code: str = "", retry_after: float | None = None, permanent: bool = False
    ) -> None:
        super().__init__(message, hint, retry_after=retry_after, permanent=permanent)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Fault:
    """A reason, a phrase without a full stop; what to do about it, a sentence or empty; whether it stays so until then."""

    reason: str
    hint: str = ""
    permanent: bool = False


_MOST_WORDS = 120
_LONGEST_WAIT = 3600.0
_CODE = re.compile(r"[a-z0-9_]{1,60}\Z")

_CREDENTIALS = "Set SLACK_TOKEN to the Bot User OAuth Token (xoxb-…) of your Slack app, and start dewy again"
_REINSTALL = "Install the Slack app in the workspace again, set SLACK_TOKEN to its new token, and start dewy again"
_SCOPE = "Add it to the Slack app under OAuth & Permissions, and install the app in the workspace again"
_WITHOUT_SCOPE = {
    "channels:join": "Without it, invite the app in the channel: /invite @APP",
    "channels:read": "Without it, invite the app in the channel (/invite @APP), or write the channel's ID in the URL",
}
_INVITE = "Invite the app in the channel: /invite @APP"
_ADMINISTRATOR = "Ask a workspace administrator to let the app post there, or name another channel"
_NETWORK = "Check this host's network, HTTPS_PROXY and SLACK_API_URL"
_STRANGE = "Check SLACK_API_URL and what stands between Slack and this host: a proxy, a firewall, a login page"
_PASSES = "It passes by itself, as a rule; if not, see Slack's status page"
_FEWER = "Many hosts share one limit: quiet=true makes the messages fewer"

_INTERNAL = _Fault("Slack has trouble of its own", _PASSES)
_MAY_NOT_POST = _Fault("the workspace does not let the app post there", _ADMINISTRATOR)
_DEACTIVATED = _Fault("the token belongs to a user or a workspace that is deactivated", _REINSTALL)
_NO_SUCH_CHANNEL = _Fault(
    "there is no such channel, or it is private and the app is not in it",
    "Check the URL: a channel's name or ID, or a member's ID. Invite the app to a private channel: /invite @APP",
)
_MALFORMED = _Fault("Slack does not take the form of the message")

_BY_CODE = {
    "invalid_auth": _Fault("the token is not valid, or not from this host's address", _CREDENTIALS),
    "not_authed": _Fault("no token arrived", _CREDENTIALS),
    "not_allowed_token_type": _Fault("the token is of a kind that may not do this", _CREDENTIALS),
    "token_revoked": _Fault("the token was revoked", _REINSTALL),
    "token_expired": _Fault("the token has expired", "Turn off token rotation in the Slack app, or renew SLACK_TOKEN"),
    "account_inactive": _DEACTIVATED,
    "team_access_not_granted": _Fault("the app is not installed in that workspace", _REINSTALL),
    "channel_not_found": _NO_SUCH_CHANNEL,
    "not_in_channel": _Fault("the app is not in the channel", _INVITE),
    "method_not_supported_for_channel_type": _Fault("nobody can join it without an invitation", _INVITE),
    "is_archived": _Fault("the channel is archived", "Unarchive it, or name another channel"),
    "too_many_members": _Fault("the channel takes no more members", "Name another channel"),
    "messages_tab_disabled": _Fault(
        "the app takes no direct messages", "Turn on the Messages Tab under App Home in the Slack app's settings"
    ),
    "user_not_found": _Fault("there is no such member", "Write the member's ID as Slack shows it: U0123ABCDEF"),
    "user_disabled": _Fault("the member is deactivated", "Name another member or a channel"),
    "access_denied": _MAY_NOT_POST,
    "ekm_access_denied": _MAY_NOT_POST,
    "no_permission": _MAY_NOT_POST,
    "internal_error": _INTERNAL,
    "fatal_error": _INTERNAL,
    "service_unavailable": _INTERNAL,
    "request_timeout": _INTERNAL,
    "team_added_to_org": _Fault("the workspace is being moved to an organisation", _PASSES),
    "invalid_blocks": _MALFORMED,
    "invalid_attachments": _MALFORMED,
    "no_text": _MALFORMED,
    "msg_too_long": _Fault("the message is too long for Slack"),
}
"""Slack's words for what is wrong, from the reference of the methods that are called."""

_TEMPORARY = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
"""Those of them that pass by themselves. A word that is not known may be one too."""

_BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})


def busy(doing: str) -> SlackError:
    """The error for when too many calls hang for another to be made."""
    return SlackError(f"{doing}: earlier calls of Slack still hang", _NETWORK)


def error_of(error: BaseException, doing: str, api_url: str) -> SlackError:
    """What an exception of the SDK means.

    Args:
        error: The exception.
        doing: What failed, the beginning of the sentence.
        api_url: The base URL of the API, without a user name in it.
    """
    if isinstance(error, SlackApiError):
        return _of_answer(error, doing)
    fault = _of_network(error, urlsplit(api_url).netloc)
    return SlackError(f"{doing}: {fault.reason}", fault.hint, permanent=fault.permanent)


# ---------------------------------------------------------------------------------------------------------- what it said


def _of_answer(error: SlackApiError, doing: str) -> SlackError:
    response = error.response
    data: Mapping[str, Any] = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error", ""))
    if not _CODE.match(code):
        code = ""
    if response.status_code == 429 or code in _BUSY:
        waits = _retry_after(response.headers)
        return SlackError(f"{doing}: Slack has too many requests to answer", _FEWER, code=code, retry_after=waits)
    fault = _of_code(code, data) if code else _of_status(response.status_code)
    return SlackError(f"{doing}: {fault.reason}", fault.hint, code=code, permanent=fault.permanent)


def _of_code(code: str, data: Mapping[str, Any]) -> _Fault:
    if code == "missing_scope":
        # where one of several scopes is enough Slack lists them all, first the one for public channels
        needed = _plain(data.get("needed", "")).partition(",")[0]
        hint = f"{_SCOPE}. {_WITHOUT_SCOPE[needed]}" if needed in _WITHOUT_SCOPE else _SCOPE
        return _Fault(f"the token lacks the scope {needed or 'it needs'}", hint, permanent=True)
    if code.startswith(("restricted_action", "posting_to")):
        return _Fault(f"{_MAY_NOT_POST.reason} ({code})", _ADMINISTRATOR, permanent=True)
    if fault := _BY_CODE.get(code):
        return replace(fault, permanent=code not in _TEMPORARY)
    return _Fault(f"Slack answered {code}")


def _of_status(status: int) -> _Fault:
    """An answer without Slack's own words in it."""
    if status >= 500:
        return _Fault(f"Slack is out of order (HTTP {status})", _PASSES)
    return _Fault(f"the answer is not one of Slack's (HTTP {status})", _STRANGE)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    asked = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    return min(float(asked), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else None


# ---------------------------------------------------------------------------------------------------------- the network


def _of_network(error: BaseException, host: str) -> _Fault:
    chain = tuple(_causes(error))
    for cause in chain:
        if isinstance(cause, TimeoutError):
            return _Fault(f"no answer from {host} in time", _NETWORK)
        if isinstance(cause, SSLCertVerificationError):
            reason = f"no safe connection to {host}: {_plain(cause.verify_message)}"
            hint = "For a certificate authority of your own, set SSL_CERT_FILE to its certificate"
            return _Fault(reason, hint, permanent=True)
        if isinstance(cause, IncompleteRead | RemoteDisconnected):
            return _Fault(f"the answer of {host} broke off", _NETWORK)
        if isinstance(cause, OSError) and (said := _said(cause)):
            return _Fault(f"no connection to {host}: {said}", _NETWORK)
    if any(isinstance(cause, HTTPException | ValueError | AttributeError | TypeError) for cause in chain):
        return _Fault(f"the answer of {host} cannot be read ({type(error).__name__})", _STRANGE)
    return _Fault(f"{type(error).__name__} while talking to {host}", _NETWORK)


def _causes(error: object) -> Iterator[BaseException]:
    """The exception and those it wraps, from the outermost inwards."""
    for _ in range(10):  # bounded: exceptions may form a ring
        if not isinstance(error, BaseException):
            return
        yield error
        reason = getattr(error, "reason", None)  # urllib's
        error = reason if isinstance(reason, BaseException) else error.__cause__


def _said(error: OSError) -> str:
    """What the operating system said: ``Connection refused``, say; or a proxy, of a tunnel it did not make."""
    if error.strerror:
        return _plain(error.strerror)
    text = _plain(error)
    return text if text.startswith("Tunnel connection failed") else ""


def _plain(text: object) -> str:
    """A stranger's words, fit for one line of an error text."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return words[:_MOST_WORDS].rstrip(". ")
