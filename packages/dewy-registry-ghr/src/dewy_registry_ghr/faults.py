"""What GitHub's refusals mean, in words a person can act on. Pure.

"Troubleshooting the REST API" and "Rate limits for the REST API" in GitHub's documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from dewy.http import HttpError, RateLimited
from dewy_registry_ghr.access import Access

__all__ = ["Fault", "fault_of", "said_codes"]

_LIMIT = re.compile(r"rate limit|abuse detection", re.IGNORECASE)
_MOST_WORDS = 200

_SECONDARY_PAUSE = 60.0
"""Seconds: what GitHub asks for where it names no time."""

_WITH_CREDENTIALS = "Set GH_TOKEN: with a token it is 5,000 requests an hour in place of 60, and those without news are free"
_RIGHTS = (
    "It needs the permission Contents of this repository, to read, and to write for audit entries (classic: scope repo)"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request failed.

    Attributes:
        reason: In words, without a full stop.
        hint: What to do, or empty.
        pause: Seconds for which GitHub should not be asked, where only the words of its answer say so.
    """

    reason: str
    hint: str = ""
    pause: float | None = None


def fault_of(error: HttpError, access: Access, what: str) -> Fault:
    """What a failed request means.

    Args:
        error: The failure.
        access: Whom and as whom it asked.
        what: What the request was about, as in "repository example/myapp".
    """
    if isinstance(error, RateLimited):
        return _limited(error, access)
    if error.status == 403 and _LIMIT.search(_said(error)):
        return _refused_without_a_time(error, access)
    explain = _BY_STATUS.get(error.status or 0)
    return explain(error, access, what) if explain else Fault(error.message, error.hint)


def said_codes(error: HttpError) -> frozenset[str]:
    """The codes of what is wrong with a request (422): ``already_exists``, …"""
    match _body(error):
        case {"errors": [*errors]}:
            return frozenset(str(item["code"]) for item in errors if isinstance(item, dict) and "code" in item)
    return frozenset()


def _limited(error: HttpError, access: Access) -> Fault:
    said = _said(error)
    return Fault(
        f"{error.message}: {said}" if said else error.message, _WITH_CREDENTIALS if access.is_anonymous else error.hint
    )


def _refused_without_a_time(error: HttpError, access: Access) -> Fault:
    reason = f"{access.host} wants fewer requests (403): {_said(error)}"
    return Fault(reason, _WITH_CREDENTIALS if access.is_anonymous else "Poll less often", _SECONDARY_PAUSE)


def _unauthorised(error: HttpError, access: Access, what: str) -> Fault:
    if access.is_anonymous:
        return Fault(f"{access.host} answers nobody without credentials (401)", "Set GH_TOKEN")
    reason = f"{access.host} does not accept {access.source} (401): {_said(error) or 'no reason given'}"
    if access.app:
        return Fault(reason, "Is the app still installed, and not suspended? A new token is asked for with the next try")
    return Fault(reason, f"It may be wrong, expired or revoked: make one that may read the contents of the {what}")


def _forbidden(error: HttpError, access: Access, what: str) -> Fault:
    if error.response and error.response.headers.get("x-github-sso", "").startswith("required"):
        return Fault(
            f"the organisation wants single sign-on, for which {access.source} is not authorised (403)",
            "Authorise it: GitHub, Settings, Developer settings, Personal access tokens, Configure SSO",
        )
    who = access.source or "a request without a token"
    reason = f"{access.host} refuses {who} for the {what} (403): {_said(error) or 'no reason given'}"
    return Fault(reason, "Set GH_TOKEN" if access.is_anonymous else _RIGHTS)


def _not_found(_error: HttpError, access: Access, what: str) -> Fault:
    where = "; the address of an Enterprise Server's API ends in /api/v3" if access.is_enterprise else ""
    if access.is_anonymous:
        reason = f"{access.host} has no {what} that is to be seen without a token (404)"
        return Fault(reason, f"Check the name; for a private repository set GH_TOKEN{where}")
    return Fault(
        f"{access.host} has no {what}, or none that {access.source} may see (404)",
        f"Check the name, the rights, and whether the organisation wants single sign-on. {_RIGHTS}{where}",
    )


_BY_STATUS: dict[int, Callable[[HttpError, Access, str], Fault]] = {401: _unauthorised, 403: _forbidden, 404: _not_found}


def _body(error: HttpError) -> object:
    try:
        return json.loads(error.response.content) if error.response else None
    except (ValueError, RecursionError):
        return None


def _said(error: HttpError) -> str:
    """GitHub's own words, fit for one line of an error text."""
    match _body(error):
        case {"message": str(message)}:
            words = " ".join("".join(letter if letter.isprintable() else " " for letter in message).split())
            return words[:_MOST_WORDS].rstrip(". ")
    return ""
