"""What went wrong with S3, in words a person can act on. Imports the SDK's exceptions: only loaded when something failed."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.parsers import ResponseParserError

from dewy.objectstore import Fault, one_line, system_reason

__all__ = ["NOT_S3", "fault_of"]

_KEYS = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile or role in use"
_NO_KEYS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role; anonymous=true for a public bucket"
_AGAIN = "dewy tries again"
_RENEW = (
    "Renew them; dewy takes up new ones from files, roles and profiles by itself, from the environment when started again"
)
_ENDPOINT = "Check the endpoint and what stands between it and this host: a proxy, a firewall, a login page"
NOT_S3 = Fault("the answer is not one of an S3 store", _ENDPOINT)
"""What a proxy's login page is, say."""
_DENIED = Fault(
    "access is denied",
    "dewy needs s3:ListBucket on the bucket, s3:GetObject below the prefix and s3:PutObject there for audit entries",
    credentials=True,
)
_EXPIRED = Fault("the credentials have expired", _RENEW, credentials=True)
_BUSY = Fault("the store has too many requests to answer and asks to slow down", _AGAIN)
_ELSEWHERE = Fault("the bucket is in another region", "Correct the region in the URL: s3://REGION/BUCKET/…")
_GONE = Fault("there is no such object", "It may have been removed since it was listed")

_BY_CODE = {
    "NoSuchBucket": Fault("there is no such bucket", "Create it, or correct the URL: s3://REGION/BUCKET/…"),
    "NoSuchKey": _GONE,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "InvalidAccessKeyId": Fault("the store does not know the access key", _KEYS, credentials=True),
    "SignatureDoesNotMatch": Fault("the secret key does not belong to the access key", _KEYS, credentials=True),
    "InvalidToken": Fault("the session token is not valid", _RENEW, credentials=True),
    "ExpiredToken": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": Fault("this host's clock differs from the store's", "Set it: timedatectl set-ntp true"),
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "TooManyRequests": _BUSY,
    "429": _BUSY,
    "InvalidObjectState": Fault("the object is archived and cannot be read", "Restore it, or keep releases in S3 Standard"),
    "PreconditionFailed": Fault("the object was replaced meanwhile", "dewy starts again with the new one"),
}


_NETWORK = (exceptions.HTTPClientError, exceptions.ConnectionError)
_BY_NETWORK: tuple[tuple[type[Exception], str, str], ...] = (
    (exceptions.ProxyConnectionError, "the proxy cannot be reached", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
    (exceptions.ConnectTimeoutError, "no connection to {store} in time", _ENDPOINT),
    (exceptions.EndpointConnectionError, "no connection to {store}", _ENDPOINT),
    (exceptions.ReadTimeoutError, "{store} did not answer in time", _ENDPOINT),
    (exceptions.ConnectionClosedError, "{store} closed the connection without an answer", _ENDPOINT),
    (exceptions.ResponseStreamingError, "the connection to {store} broke off", _AGAIN),
)
_BY_SDK: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((exceptions.NoCredentialsError,), "there are no AWS credentials here", _NO_KEYS),
    ((exceptions.PartialCredentialsError,), "the AWS credentials are incomplete", _KEYS),
    (
        (exceptions.ProfileNotFound, exceptions.ConfigParseError, exceptions.ConfigNotFound),
        "the AWS configuration cannot be used: {said}",
        _KEYS,
    ),
    (
        (
            exceptions.CredentialRetrievalError,
            exceptions.MetadataRetrievalError,
            exceptions.SSOError,
            exceptions.TokenRetrievalError,
        ),
        "the AWS credentials could not be had: {said}",
        _KEYS,
    ),
    ((ResponseParserError, exceptions.PaginationError), NOT_S3.reason, NOT_S3.hint),
    (
        (exceptions.FlexibleChecksumError,),
        "the bytes that arrived are not those the store took its checksum of",
        _AGAIN,
    ),
)


def fault_of(error: Exception) -> Fault:
    """What an exception of the SDK means."""
    if isinstance(error, exceptions.ClientError):
        fault = _of_answer(error)
        return replace(fault, passing=fault is _BUSY or _status(error) >= 500)
    if isinstance(error, _NETWORK):
        return replace(_of_network(error), passing=not isinstance(error, exceptions.SSLError))
    return _of_sdk(error)


def _of_answer(error: exceptions.ClientError) -> Fault:
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), one_line(said.get("Message", ""))
    fault = _BY_CODE.get(code)
    if fault is _ELSEWHERE:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = one_line(said.get("Region") or headers.get("x-amz-bucket-region", ""))
        return Fault(f"{fault.reason}: {region}", fault.hint) if region else fault
    if fault:
        return fault
    if not code or code.isdigit():  # the SDK's stopgap for an answer without S3's own words
        return Fault(f"{NOT_S3.reason} (HTTP {_status(error)}{f' {message}' if message else ''})", _ENDPOINT)
    return Fault(f"the store answered {one_line(code)} (HTTP {_status(error)}){f': {message}' if message else ''}")


def _of_network(error: exceptions.HTTPClientError | exceptions.ConnectionError) -> Fault:
    host = urlsplit(str(error.kwargs.get("endpoint_url") or "")).netloc
    store = f"the store at {host}" if host else "the store"
    if isinstance(error, exceptions.SSLError):
        reason = f"no safe connection to {store}: {one_line(error.kwargs.get('error', ''))}"
        return Fault(reason, "For a certificate authority of your own, set AWS_CA_BUNDLE to its certificate")
    for kind, what, hint in _BY_NETWORK:
        if isinstance(error, kind):
            said = system_reason(error)
            return Fault(what.format(store=store) + (f": {said}" if said else ""), hint)
    return Fault(f"{type(error).__name__}: {one_line(error)}", _ENDPOINT)


def _of_sdk(error: Exception) -> Fault:
    for kinds, what, hint in _BY_SDK:
        if isinstance(error, kinds):
            return Fault(what.format(said=one_line(error)), hint, credentials=hint in (_KEYS, _NO_KEYS))
    return Fault(f"{type(error).__name__}: {one_line(error)}", credentials=True)


def _status(error: exceptions.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
