"""A release and its assets, read from GitHub's JSON. Pure.

The fields are those of "REST API endpoints for releases" in GitHub's documentation.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

__all__ = ["Asset", "AssetState", "GitHubRelease", "Unreadable", "parse_time"]

_DIGEST = re.compile(r"[a-z0-9_-]+:[0-9a-f]{8,}\Z")


class Unreadable(Exception):
    """The JSON is not that of a release."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a release, uploaded in full.

    Attributes:
        id: GitHub's number for it. A file that is uploaded again gets another one.
        name: Its name.
        url: Its address in the API.
        size: In bytes.
        digest: ``sha256:HEX`` as GitHub has taken it at the upload; None on assets from before it did.
        updated: When it was last changed.
    """

    id: int
    name: str
    url: str
    size: int | None
    digest: str | None
    updated: datetime | None

    @classmethod
    def of(cls, document: Any) -> Self | None:
        """Reads an asset; None for one that is not uploaded in full. Raises Unreadable."""
        match document:
            case {"id": int(id_), "name": str(name), "url": str(url), "state": str(state)}:
                if state != "uploaded":
                    return None
                size, digest = document.get("size"), document.get("digest")
                return cls(
                    id_,
                    name,
                    url,
                    size if isinstance(size, int) and size >= 0 else None,
                    digest.lower() if isinstance(digest, str) and _DIGEST.match(digest.lower()) else None,
                    parse_time(document.get("updated_at")),
                )
        raise Unreadable("an asset has no id, name, url or state")

    def packed(self) -> list[Any]:
        """What :meth:`unpacked` reads."""
        updated = self.updated.isoformat() if self.updated else None
        return [self.id, self.name, self.url, self.size, self.digest, updated]

    @classmethod
    def unpacked(cls, values: list[Any]) -> Self:
        """The asset again."""
        id_, name, url, size, digest, updated = values
        return cls(id_, name, url, size, digest, parse_time(updated))


@dataclass(frozen=True, slots=True)
class AssetState:
    """How far an asset's upload is.

    Attributes:
        name: Its name.
        url: Its address in the API.
        state: ``uploaded``, or what a failed upload has left: ``starter``.
    """

    name: str
    url: str
    state: str

    @classmethod
    def all_of(cls, document: Any) -> tuple[Self, ...]:
        """Those of a release, the unfinished ones too. Raises Unreadable."""
        match document:
            case {"assets": [*assets]}:
                return tuple(cls._of(asset) for asset in assets)
        raise Unreadable("a release has no assets")

    @classmethod
    def _of(cls, document: Any) -> Self:
        match document:
            case {"name": str(name), "url": str(url), "state": str(state)}:
                return cls(name, url, state)
        raise Unreadable("an asset has no name, url or state")


@dataclass(frozen=True, slots=True)
class GitHubRelease:
    """One published release.

    Attributes:
        tag: Its tag.
        published: When it was published.
        prerelease: It is marked as a pre-release, whatever its tag.
        upload_url: Where files are attached: a URI template.
    """

    tag: str
    published: datetime | None
    prerelease: bool
    upload_url: str
    _assets: bytes = field(repr=False)  # packed: of thousands of releases nearly all are never looked into

    @classmethod
    def of(cls, document: Any) -> Self | None:
        """Reads a release; None for a draft. Raises Unreadable."""
        match document:
            case {"draft": True}:
                return None
            case {"tag_name": str(tag), "assets": [*assets]}:
                found = (Asset.of(asset) for asset in assets)
                return cls(
                    tag,
                    parse_time(document.get("published_at")),
                    document.get("prerelease") is True,
                    str(document.get("upload_url") or ""),
                    _packed(asset for asset in found if asset is not None),
                )
        raise Unreadable("a release has no tag or no assets")

    @property
    def assets(self) -> tuple[Asset, ...]:
        """Its files."""
        return tuple(Asset.unpacked(values) for values in json.loads(zlib.decompress(self._assets)))

    def asset(self, name: str) -> Asset | None:
        """The file of a name; None when there is none."""
        return next((asset for asset in self.assets if asset.name == name), None)

    def with_asset(self, asset: Asset) -> Self:
        """The same release with one more file."""
        return replace(self, _assets=_packed([*self.assets, asset]))


def _packed(assets: Iterable[Asset]) -> bytes:
    return zlib.compress(json.dumps([asset.packed() for asset in assets]).encode(), 1)


def parse_time(text: object) -> datetime | None:
    """A time of the API's, aware of its zone; None for what is none."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time
