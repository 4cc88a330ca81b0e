"""Where something is in S3, and the URLs that say so. Pure.

``s3://REGION/BUCKET/PREFIX`` names a registry, ``s3://REGION/BUCKET/KEY`` an artifact; both with ``?endpoint=URL`` for a
store other than Amazon's. Artifact URLs travel between hosts, so what :meth:`Bucket.url_of` makes is fixed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from dewy.errors import UsageError

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["Bucket", "Store", "locate"]

_REGION = re.compile(r"(?![0-9]+\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_AMAZON_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]+\Z")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}\Z")
_FORM = "The form is s3://REGION/BUCKET/PREFIX, as in s3://us-east-1/releases/myapp"
_NO_CREDENTIALS_HERE = (
    "Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or another link of the AWS credential chain"
)


@dataclass(frozen=True, slots=True)
class Store:
    """One S3 service, and how it is asked.

    Attributes:
        region: Amazon's name of the region; of a compatible store, whatever it calls itself.
        endpoint: Its address; None for Amazon's own.
        anonymous: Whether it is asked without credentials.
    """

    region: str
    endpoint: str | None = None
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a store.

    Attributes:
        store: The service.
        name: The bucket's.
    """

    store: Store
    name: str

    def url_of(self, key: str) -> str:
        """The artifact URL of an object. It holds no secret."""
        options = []
        if self.store.endpoint:
            options.append(f"endpoint={quote(self.store.endpoint, safe=':/[]')}")
        if self.store.anonymous:
            options.append("anonymous=true")
        query = f"?{'&'.join(options)}" if options else ""
        return f"s3://{self.store.region}/{self.name}/{quote(key, safe='/')}{query}"


def locate(url: BackendURL, environ: Mapping[str, str]) -> tuple[Bucket, str]:
    """The bucket that a URL names, and what stands after it: a prefix or a key. Raises UsageError."""
    if url.username or url.password:
        raise UsageError(f"{url} has a user name in it", _NO_CREDENTIALS_HERE)
    if url.port is not None:
        raise UsageError(f"{url} has a port where a region stands", f"{_FORM}; a store's address goes into ?endpoint=URL")
    bucket, _, path = url.path.removeprefix("/").partition("/")
    if not bucket:
        raise UsageError(f"{url} names no bucket", _FORM)
    if not _BUCKET.match(bucket):
        raise UsageError(f"{bucket!r} in {url} cannot be the name of a bucket", _FORM)
    return Bucket(_store(url, environ), bucket), path


def _store(url: BackendURL, environ: Mapping[str, str]) -> Store:
    endpoint = url.text("endpoint") or _endpoint_of(environ)
    if endpoint is not None:
        _check_endpoint(endpoint)
    region = url.host
    if not _REGION.match(region):
        raise UsageError(f"{region!r} in {url} is not a region" if region else f"{url} names no region", _FORM)
    if endpoint is None and not _AMAZON_REGION.match(region):
        raise UsageError(
            f"{region!r} in {url} is not a region of Amazon's",
            f"{_FORM}; a compatible store needs its address: ?endpoint=URL",
        )
    return Store(region, endpoint, url.flag("anonymous"))


def _endpoint_of(environ: Mapping[str, str]) -> str | None:
    """As the AWS SDKs have it: the variable of the service before that of all services, unless both are to be ignored."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None


def _check_endpoint(endpoint: str) -> None:
    hint = "It takes the store's address alone, as in http://127.0.0.1:8333"
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if parts.username or parts.password:
        raise UsageError("the S3 endpoint has a user name or password in it", _NO_CREDENTIALS_HERE)
    if not usable or parts.query or parts.fragment or not endpoint.isprintable():
        raise UsageError(f"the S3 endpoint {endpoint!r} is not an http or https address", hint)
