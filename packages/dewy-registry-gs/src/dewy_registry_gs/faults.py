"""What went wrong with Google Cloud Storage, in words a person can act on. Imports the SDK's exceptions: loaded with it."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from dewy.objectstore import Fault, one_line, system_reason

__all__ = ["NOT_GOOGLE", "fault_of", "is_passing"]

_AGAIN = "dewy tries again"
_BETWEEN = "Check what stands between it and this host: a proxy, a firewall, a login page"
NOT_GOOGLE = Fault("the answer is not one of Google Cloud Storage", _BETWEEN)
"""What a proxy's login page is, say."""
_NO_KEYS = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or attach a service account to this instance; "
    "anonymous=true for a public bucket"
)
_FILE = "Check GOOGLE_APPLICATION_CREDENTIALS and the file that it names"
_RENEW = "Renew them: a new key file, or `gcloud auth application-default login`; dewy takes up new ones by itself"
_CLOCK = "Set this host's clock (timedatectl set-ntp true); if it is right, make a new key"
_ROLES = "dewy needs Storage Object Viewer on the bucket, and Storage Object Creator for audit entries"
_PROJECT = "Set GOOGLE_CLOUD_QUOTA_PROJECT to a project that may be charged and in which you have serviceusage.services.use"
_NETWORK = "Check the network, the name server and the proxy of this host; of an emulator, STORAGE_EMULATOR_HOST"

_BUSY = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})
_UNCHARGED = frozenset({"accountDisabled", "userProjectAccessDenied", "userProjectInvalid", "userProjectMissing"})
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_UNREACHABLE = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.SSLError,
    http.client.HTTPException,
)
_TLS = (requests.exceptions.SSLError, urllib3.exceptions.SSLError)
_BY_NETWORK: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((requests.exceptions.ProxyError,), "the proxy cannot be reached", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
    ((requests.ConnectTimeout,), "no connection to {store} in time", _NETWORK),
    ((requests.Timeout, urllib3.exceptions.TimeoutError), "{store} did not answer in time", _NETWORK),
    (
        (
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.ProtocolError,
            http.client.HTTPException,
        ),
        "the connection to {store} broke off",
        _AGAIN,
    ),
    ((requests.ConnectionError,), "no connection to {store}", _NETWORK),
)


def is_passing(error: BaseException | None) -> bool:
    """Whether the same request may well succeed in a moment: the network or the store has failed, not the request."""
    error = _innermost(error)
    if isinstance(error, api.GoogleAPICallError):
        return error.code in _PASSING_STATUS or _said(error).reason in _BUSY
    return isinstance(error, _UNREACHABLE) and not isinstance(error, _TLS)


def fault_of(error: BaseException) -> Fault:
    """What an exception of the SDK, or of what it is built on, means."""
    return replace(_meaning(_innermost(error) or error), passing=is_passing(error))


def _meaning(error: BaseException) -> Fault:
    if isinstance(error, api.GoogleAPICallError):
        return _of_answer(error)
    if isinstance(error, _UNREACHABLE):
        return _of_network(error)
    if isinstance(error, auth.GoogleAuthError):
        return _of_credentials(error)
    if isinstance(error, (ValueError, TypeError, AttributeError, KeyError)):  # what the SDK raises on a stranger's answer
        return Fault(f"{NOT_GOOGLE.reason} ({type(error).__name__}: {one_line(error)})", _BETWEEN)
    return Fault(f"{type(error).__name__}: {one_line(error)}", credentials=True)


def _innermost(error: BaseException | None) -> BaseException | None:
    """The error that the SDK has wrapped: when it gave up trying, or while it was renewing credentials."""
    for _ in range(10):
        if isinstance(error, api.RetryError):
            error = error.cause
        elif isinstance(error, auth.TransportError) and error.args and isinstance(error.args[0], _UNREACHABLE):
            error = error.args[0]
        else:
            break
    return error


# ------------------------------------------------------------------------------------------------------ the store's answer


@dataclass(frozen=True, slots=True)
class _Said:
    """What an answer other than success says. ``own``: whether it is in the store's own form."""

    own: bool
    message: str = ""
    reason: str = ""


def _said(error: api.GoogleAPICallError) -> _Said:
    response = error.response
    text = str(getattr(response, "text", "") or "")
    if not text:
        return _Said(own=True)
    try:
        payload = response.json()["error"]
        message, details = str(payload.get("message", "")), payload.get("errors") or [{}]
        return _Said(True, one_line(message), str(details[0].get("reason", "")))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        # Downloads are answered in plain words.
        return _Said(not text.lstrip().startswith(("<", "{", "[")), one_line(text))


def _of_answer(error: api.GoogleAPICallError) -> Fault:
    said, status = _said(error), int(error.code or 0)
    if not said.own:
        return Fault(f"{NOT_GOOGLE.reason} (HTTP {status})", _BETWEEN)
    if status == 429 or said.reason in _BUSY:
        return Fault("the store has too many requests to answer and asks to slow down", _AGAIN)
    if said.reason in _UNCHARGED or "requester pays" in said.message or "user project" in said.message.lower():
        return Fault(f"no project can be charged for the request: {said.message}", _PROJECT, credentials=True)
    known = _BY_STATUS.get(status)
    if known:
        return known(said)
    tail = f": {said.message}" if said.message else ""
    return Fault(f"the store answered HTTP {status}{tail}", _AGAIN if status in _PASSING_STATUS else "")


def _of_unauthorized(said: _Said) -> Fault:
    tail = f": {said.message}" if said.message else ""
    return Fault(f"the store does not accept the credentials{tail}", _RENEW, credentials=True)


def _of_forbidden(said: _Said) -> Fault:
    return Fault("access is denied" + (f": {said.message}" if said.message else ""), _ROLES, credentials=True)


def _of_not_found(said: _Said) -> Fault:
    if "No such object" in said.message:
        return Fault("there is no such object", "It may have been removed since it was listed")
    what = "bucket" if "bucket" in said.message.lower() else "bucket or object"
    return Fault(f"there is no such {what}", "Create it, or correct the URL: gs://BUCKET/…")


def _of_precondition(_: _Said) -> Fault:
    return Fault("the object was replaced meanwhile", "dewy starts again with the new one")


_BY_STATUS = {401: _of_unauthorized, 403: _of_forbidden, 404: _of_not_found, 412: _of_precondition}


# ------------------------------------------------------------------------------------------------- network and credentials


def _of_network(error: BaseException) -> Fault:
    url = str(getattr(getattr(error, "request", None), "url", "") or "")
    host = urlsplit(url).netloc.rpartition("@")[2]
    store = f"the store at {host}" if host else "the store"
    said = system_reason(error)
    if isinstance(error, _TLS):
        reason = f"no safe connection to {store}: {said or one_line(error)}"
        return Fault(reason, "For a certificate authority of your own, set REQUESTS_CA_BUNDLE to its certificate")
    for kinds, what, hint in _BY_NETWORK:
        if isinstance(error, kinds):
            return Fault(what.format(store=store) + (f": {said}" if said else ""), hint)
    return Fault(f"{type(error).__name__}: {one_line(error)}", _NETWORK)


def _of_credentials(error: auth.GoogleAuthError) -> Fault:
    said = one_line(error.args[0] if error.args else "")
    if isinstance(error, auth.InvalidOperation):  # what having none says when it is asked to renew them
        return Fault("the store asks for credentials, and none are used", _NO_KEYS, credentials=True)
    if isinstance(error, auth.DefaultCredentialsError):
        if "credentials were not found" in said:
            return Fault("there are no Google Cloud credentials here", _NO_KEYS, credentials=True)
        return Fault(f"the Google Cloud credentials cannot be used: {said}", _FILE, credentials=True)
    if "Invalid JWT" in said:  # signed at a time that is not Google's
        return Fault(f"the credentials could not be renewed: {said}", _CLOCK, credentials=True)
    if isinstance(error, auth.RefreshError):
        return Fault(f"the credentials could not be renewed: {said}", _RENEW, credentials=True)
    return Fault(f"the Google Cloud credentials could not be had: {said}", _RENEW, credentials=True)
