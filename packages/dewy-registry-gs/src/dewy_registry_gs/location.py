"""Places in Google Cloud Storage, and the URLs that name them. Pure.

``gs://BUCKET/PREFIX`` is a registry, ``gs://BUCKET/KEY`` an artifact. Artifact URLs travel between hosts, so what
:meth:`Location.url_of` makes is fixed.
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

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]\Z")
"""Google's "Bucket names"; those with dots may be longer than the others."""
_FORM = "The form is gs://BUCKET/PREFIX, as in gs://releases/myapp"
_NO_CREDENTIALS_HERE = "Credentials are found as in every Google client: GOOGLE_APPLICATION_CREDENTIALS names their file"


@dataclass(frozen=True, slots=True)
class Store:
    """Whom to ask, and how.

    Attributes:
        emulator: The address of an emulator, which is asked without credentials; None for Google's own service.
        anonymous: Whether it is asked without credentials.
    """

    emulator: str | None = None
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a bucket. ``str`` shows it to people; it holds no secret.

    Attributes:
        store: The service.
        bucket: The bucket's name.
        key: An object's name, or the prefix of a registry, without slashes around it; empty for the whole bucket.
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
            raise UsageError(f"the artifact URL {url} names no object", "The form is gs://BUCKET/KEY")
        return cls(_store(url, environ), bucket, key)

    @property
    def folder(self) -> str:
        """What the names of everything in this place begin with: the prefix with its slash, or nothing."""
        return f"{self.key}/" if self.key else ""

    def url_of(self, key: str) -> str:
        """The artifact URL of an object in the same bucket. An emulator is not in it: every host has its own."""
        query = "?anonymous=true" if self.store.anonymous else ""
        return f"gs://{self.bucket}/{quote(key, safe='/')}{query}"

    def __str__(self) -> str:
        return self.url_of(self.key).rstrip("/")


def is_plain_name(name: str) -> bool:
    """Whether a key's part can be a file's or folder's name: not empty, no dots only, no slash, all of it printable."""
    return name not in ("", ".", "..") and "/" not in name and name.isprintable()


def _store(url: BackendURL, environ: Mapping[str, str]) -> Store:
    return Store(_emulator_of(environ), url.flag("anonymous"))


def _emulator_of(environ: Mapping[str, str]) -> str | None:
    """``STORAGE_EMULATOR_HOST``: an address, which some of Google's clients want with its scheme and some without."""
    said = environ.get("STORAGE_EMULATOR_HOST", "")
    if not said:
        return None
    address = said if "://" in said else f"http://{said}"
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or parts.username or parts.query or parts.fragment or not address.isprintable():
        raise UsageError(
            "STORAGE_EMULATOR_HOST is not the address of an emulator",
            "It takes an http or https address alone, as in http://127.0.0.1:9023; unset it to ask Google's own service",
        )
    return address.rstrip("/")


def _bucket_and_key(url: BackendURL) -> tuple[str, str]:
    if url.username or url.password:
        raise UsageError(f"{url} has a user name in it", _NO_CREDENTIALS_HERE)
    if url.port is not None:
        raise UsageError(f"{url} has a port in it", f"{_FORM}; an emulator's address goes into STORAGE_EMULATOR_HOST")
    if not url.host:
        raise UsageError(f"{url} names no bucket", _FORM)
    if not _BUCKET.match(url.host):
        raise UsageError(f"{url.host!r} in {url} cannot be the name of a bucket", _FORM)
    key = url.path.removeprefix("/")
    # HTTP clients and proxies resolve dots in paths, so that such a key leads to another object.
    if any(part in (".", "..") for part in key.split("/")):
        raise UsageError(
            f"{url} has a '.' or '..' in its path", "A bucket has no folders to go up in: write the whole prefix"
        )
    return url.host, key
