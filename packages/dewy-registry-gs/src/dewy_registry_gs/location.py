"""Places in Google Cloud Storage, and the URLs that name them. Pure.

``gs://BUCKET/PREFIX`` is a registry, ``gs://BUCKET/KEY`` an artifact. Artifact URLs travel between hosts, so what
:meth:`Bucket.url_of` makes is fixed.
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
class Bucket:
    """A bucket of the service.

    Attributes:
        store: The service.
        name: The bucket's.
    """

    store: Store
    name: str

    def url_of(self, key: str) -> str:
        """The artifact URL of an object. It holds no secret, and no emulator: every host has its own."""
        query = "?anonymous=true" if self.store.anonymous else ""
        return f"gs://{self.name}/{quote(key, safe='/')}{query}"


def locate(url: BackendURL, environ: Mapping[str, str]) -> tuple[Bucket, str]:
    """The bucket that a URL names, and what stands after it: a prefix or a key. Raises UsageError."""
    if url.username or url.password:
        raise UsageError(f"{url} has a user name in it", _NO_CREDENTIALS_HERE)
    if url.port is not None:
        raise UsageError(f"{url} has a port in it", f"{_FORM}; an emulator's address goes into STORAGE_EMULATOR_HOST")
    if not url.host:
        raise UsageError(f"{url} names no bucket", _FORM)
    if not _BUCKET.match(url.host):
        raise UsageError(f"{url.host!r} in {url} cannot be the name of a bucket", _FORM)
    store = Store(_emulator_of(environ), url.flag("anonymous"))
    return Bucket(store, url.host), url.path.removeprefix("/")


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
