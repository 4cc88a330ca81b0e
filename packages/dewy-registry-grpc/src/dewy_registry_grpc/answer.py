"""From a server's answer to a release. Nothing in it is trusted: a name becomes a file's, a URL is fetched. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dewy.errors import RegistryError, UsageError
from dewy.types import Release
from dewy.urls import redact_url, scheme_of

if TYPE_CHECKING:
    from dewy_registry_grpc._registry_pb2 import CurrentResponse

__all__ = ["DIGEST", "SIZE", "Metadata", "is_file_name", "release_of"]

Metadata = Iterable[tuple[str, str | bytes]]
"""What an answer's headers and trailers say, by name in lower case."""

DIGEST = "dewy-artifact-digest"
"""Metadata: what the bytes of the artifact are, ``sha256:HEX``."""
SIZE = "dewy-artifact-size"
"""Metadata: how many bytes it has."""

_DIGEST_FORM = re.compile(r"[a-z0-9_-]{1,20}:[0-9a-f]{8,128}\Z")
_SIZE_FORM = re.compile(r"[0-9]{1,15}\Z")
_LONGEST_TAG = 255
_LONGEST_NAME = 255
_LONGEST_URL = 8192
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def release_of(answer: CurrentResponse, metadata: Metadata, server: str) -> Release:
    """What the server wants to run.

    Args:
        answer: What it said.
        metadata: What it said beside.
        server: Its name in error texts.

    Raises:
        RegistryError: It cannot be used; says why.
    """
    if not answer.tag or len(answer.tag) > _LONGEST_TAG or not answer.tag.isprintable():
        raise _unusable(server, f"a tag that is no version: {_shown(answer.tag)}", "Have it answer with a tag, v1.4.0 say")
    digests, size = _stated(metadata, server)
    return Release(
        version=answer.tag,
        artifact=_artifact_name(answer.artifact_url, server),
        url=answer.artifact_url,
        size=size,
        digests=digests,
        published=_published(answer),
        id=answer.id,
    )


def is_file_name(name: str) -> bool:
    """Whether a name that a stranger gave may become a file's."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return False
    return (
        0 < length <= _LONGEST_NAME
        and name.isprintable()
        and name[0] not in ".-"
        and not any(part in name for part in ("/", "\\", ".."))
    )


def _artifact_name(url: str, server: str) -> str:
    """The last part of the URL's path. URLs may hold passwords and signatures, so errors show them redacted."""
    hint = "Have it answer with a URL of one file, as in https://releases.example.com/v1.4.0/myapp_linux_amd64.tar.gz"
    if not url:
        raise _unusable(server, "no artifact_url", hint)
    if len(url) > _LONGEST_URL or not url.isprintable():
        raise _unusable(server, "an artifact_url that is too long or has control characters in it", hint)
    shown = redact_url(url, None)
    try:
        scheme_of(url)
        path = urlsplit(url).path
    except (UsageError, ValueError):
        raise _unusable(server, f"an artifact_url that is none: {_shown(shown)}", hint) from None
    name = unquote(path.rpartition("/")[2])
    if not is_file_name(name):
        raise _unusable(server, f"an artifact_url whose last part cannot be a file's name: {_shown(shown)}", hint)
    return name


def _stated(metadata: Metadata, server: str) -> tuple[tuple[str, ...], int | None]:
    """The digests and the size that the metadata states. What cannot be read is refused: it would go unchecked."""
    digests: list[str] = []
    sizes: set[int] = set()
    for name, value in metadata:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if name == DIGEST:
            if not _DIGEST_FORM.match(text.lower()):
                raise _unusable(server, f"a {DIGEST} that is none: {_shown(text)}", "It takes the form sha256:HEX")
            digests.append(text.lower())
        elif name == SIZE:
            if not _SIZE_FORM.match(text):
                raise _unusable(server, f"a {SIZE} that is none: {_shown(text)}", "It is a number of bytes")
            sizes.add(int(text))
    if len(sizes) > 1:
        raise _unusable(server, f"two different values of {SIZE}", "An artifact has one size")
    return tuple(dict.fromkeys(digests)), min(sizes, default=None)


def _published(answer: CurrentResponse) -> datetime | None:
    """When the version was published; None when the server does not say, or names a time that no calendar has."""
    if not answer.HasField("created_at"):
        return None
    try:
        return _EPOCH + timedelta(seconds=answer.created_at.seconds, microseconds=answer.created_at.nanos // 1000)
    except OverflowError:
        return None


def _unusable(server: str, what: str, hint: str) -> RegistryError:
    return RegistryError(f"{server} answered with {what}", hint)


def _shown(text: str) -> str:
    """A stranger's text in an error's: escaped where it is not harmless, never long."""
    shown = repr(text) if text.isprintable() else ascii(text)
    return shown if len(shown) <= 100 else f"{shown[:97]}…"
