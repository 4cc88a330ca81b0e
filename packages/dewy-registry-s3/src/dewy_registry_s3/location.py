"""Where something is in S3, and the URLs that say so. Pure.

``s3://REGION/BUCKET/PREFIX`` names a registry, ``s3://REGION/BUCKET/KEY`` an artifact; both with ``?endpoint=URL`` for a
store other than Amazon's. Artifact URLs travel between hosts, so what :meth:`Location.url_of` makes is fixed.
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

__all__ = ["Location", "Store", "is_plain_name"]

_REGION = re.compile(r"(?![0-9]+\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_AMAZON_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]+\Z")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}\Z")
_FORM = "The form is s3://REGION/BUCKET/PREFIX, as in s3://us-east-1/releases/myapp"


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
class Location:
    """A place in a bucket. ``str`` shows it to people; it holds no secret.

    Attributes:
        store: The service.
        bucket: The bucket's name.
        key: An object's key, or the prefix of a registry, without slashes around it; empty for the whole bucket.
    """

    store: Store
    bucket: str
    key: str = ""

    @classmethod
    def of_registry(cls, url: BackendURL, environ: Mapping[str, str]) -> Location:
        """The place that a registry URL names. Raises UsageError."""
        bucket, key = _bucket_and_key(url)
        return cls(_store(url, environ), bucket, key.strip("/"))

    @classmethod
    def of_artifact(cls, url: BackendURL, environ: Mapping[str, str]) -> Location:
        """The object that an artifact URL names. Raises UsageError."""
        bucket, key = _bucket_and_key(url)
        if not key or key.endswith("/"):
            raise UsageError(f"the artifact URL {url} names no object", "The form is s3://REGION/BUCKET/KEY")
        return cls(_store(url, environ), bucket, key)

    @property
    def folder(self) -> str:
        """What the keys of everything in this place begin with: the prefix with its slash, or nothing."""
        return f"{self.key}/" if self.key else ""

    def url_of(self, key: str) -> str:
        """The artifact URL of an object in the same bucket."""
        options = []
        if self.store.endpoint:
            options.append(f"endpoint={quote(self.store.endpoint, safe=':/[]')}")
        if self.store.anonymous:
            options.append("anonymous=true")
        query = f"?{'&'.join(options)}" if options else ""
        return f"s3://{self.store.region}/{self.bucket}/{quote(key, safe='/')}{query}"

    def __str__(self) -> str:
        return self.url_of(self.key).rstrip("/")


def is_plain_name(name: str) -> bool:
    """Whether a key's part can be a file's or folder's name: not empty, no dots only, no slash, all of it printable."""
    return name not in ("", ".", "..") and "/" not in name and name.isprintable()


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
        raise UsageError(
            "the S3 endpoint has a user name or password in it",
            "Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or another link of the AWS credential chain",
        )
    if not usable or parts.query or parts.fragment or not endpoint.isprintable():
        raise UsageError(f"the S3 endpoint {endpoint!r} is not an http or https address", hint)


def _bucket_and_key(url: BackendURL) -> tuple[str, str]:
    if url.username or url.password:
        raise UsageError(
            f"{url} has a user name in it",
            "Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or another link of the AWS credential chain",
        )
    if url.port is not None:
        raise UsageError(f"{url} has a port where a region stands", f"{_FORM}; a store's address goes into ?endpoint=URL")
    bucket, _, key = url.path.removeprefix("/").partition("/")
    if not bucket:
        raise UsageError(f"{url} names no bucket", _FORM)
    if not _BUCKET.match(bucket):
        raise UsageError(f"{bucket!r} in {url} cannot be the name of a bucket", _FORM)
    # HTTP clients and proxies resolve dots in paths, so that such a key leads to another object.
    if any(part in (".", "..") for part in key.split("/")):
        raise UsageError(f"{url} has a '.' or '..' in its path", "S3 has no folders to go up in: write the whole prefix")
    return bucket, key
