"""By what hosts know that they mean the same: the same registry asked by the same rules, the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from dewy.plugins import Found
from dewy.settings import Settings
from dewy.types import Backend, Platform, Release
from dewy.urls import parse_url

__all__ = ["bytes_identity", "registry_identity"]

_STRONG = ("sha256:", "sha512:", "sha384:")
"""Digests by which bytes are known, wherever they come from."""


def registry_identity(found: Found, settings: Settings, platform: Platform, host: str) -> str:
    """What one answer of a registry is good for, in short: who asks it like this, on this platform, gets the same.

    Args:
        found: The registry's backend.
        settings: With the registry's URL and the rules by which is chosen.
        platform: The host's.
        host: Its name, which counts where the registry is the host's own.
    """
    options = found.backend.options
    url = settings.registry if options is None else str(parse_url(settings.registry, options, kind="registry"))
    rules = (settings.calver, settings.slot, settings.constraint)
    return _short(url, _place(found.backend, settings.environ, host), rules, str(platform))


def bytes_identity(release: Release, found: Found, environ: Mapping[str, str], host: str) -> str:
    """What a copy of an artifact must agree with to be the one that is wanted, in short.

    Args:
        release: What is offered. Where it states a strong digest, that is all that counts: its URL may be signed anew for
            each host. Where not, the URL and what else the listing tells.
        found: The artifact's backend.
        environ: The environment, which may change what the URL leads to.
        host: This host's name, which counts where the URL leads to its own disk.
    """
    strong = sorted(digest for digest in release.digests if digest.startswith(_STRONG))
    if strong:
        return _short(strong[:1])
    place = _place(found.backend, environ, host)
    return _short(release.url, place, release.fingerprint, release.size, sorted(release.digests))


def _place(backend: Backend[object], environ: Mapping[str, str], host: str) -> tuple[object, ...]:
    """What, beside the URL, decides where it leads."""
    return ([environ.get(name) for name in backend.environment], host if backend.local else "")


def _short(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
