"""How a cache keeps artifacts: by which key, and what is noted with them so that a copy is known to be the right one."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol

from dewy.errors import DamagedError
from dewy.sink import Sink
from dewy.state import Deployed
from dewy.types import Cache, PinningCache, Release
from dewy.untrusted import read_object

__all__ = ["Keeping", "LocalKeeping", "SharedKeeping", "cache_key"]

_PIECE = 1 << 20
_FACTS_SUFFIX = ".facts.json"
_MOST_FACTS = 64 * 1024

_Identity = Callable[[Release], str]
"""What a copy must agree with: see :func:`dewy.sharing.identity.bytes_identity`."""


def cache_key(release: Release | Deployed) -> str:
    """Where this host's own cache keeps a release's artifact (R41)."""
    return f"{release.version}--{release.artifact}"


class Keeping(Protocol):
    """The ways of keeping artifacts. Each method raises what the cache raises."""

    @property
    def pins(self) -> bool:
        """Whether the cache must be told what is needed."""

    def copy_out(self, release: Release, sink: Sink) -> str:
        """Copies a kept artifact; the digest it had when it was stored, ``sha256:HEX``, or empty if there is none."""

    def head(self, digest: str) -> bytes:
        """What is stored before the bytes."""

    def store(self, release: Release, digest: str, source: BinaryIO) -> None:
        """Stores the head and the bytes, which ``source`` has."""

    def discard(self, release: Release) -> None:
        """Has a kept artifact not be used again."""

    def pin(self, needed: Iterable[Release | Deployed]) -> None:
        """Says which artifacts are needed; the first is the one that runs. Only where :attr:`pins` holds."""


class LocalKeeping:
    """In a cache of this host alone: the bytes as they are, and beside them what is known of them.

    The facts are written last: without them the bytes do not count.
    """

    def __init__(self, cache: Cache, identity: _Identity) -> None:
        self._cache, self._identity = cache, identity

    @property
    def pins(self) -> bool:
        """See :class:`Keeping`."""
        return isinstance(self._cache, PinningCache)

    def copy_out(self, release: Release, sink: Sink) -> str:
        """See :class:`Keeping`."""
        key = cache_key(release)
        facts = self._facts(key)
        if facts.get("identity") != self._identity(release):
            return ""
        value = self._cache.read(key)
        if value is None:
            return ""
        with value:
            shutil.copyfileobj(value, sink, _PIECE)
        return facts.get("digest", "")

    def head(self, digest: str) -> bytes:
        """See :class:`Keeping`."""
        return b""

    def store(self, release: Release, digest: str, source: BinaryIO) -> None:
        """See :class:`Keeping`."""
        key = cache_key(release)
        facts = {"digest": digest, "identity": self._identity(release)}
        self._cache.delete(key + _FACTS_SUFFIX)
        self._cache.write(key, source)
        self._cache.write(key + _FACTS_SUFFIX, io.BytesIO(json.dumps(facts).encode()))

    def discard(self, release: Release) -> None:
        """See :class:`Keeping`."""
        self._cache.delete(cache_key(release) + _FACTS_SUFFIX)

    def pin(self, needed: Iterable[Release | Deployed]) -> None:
        """See :class:`Keeping`."""
        if isinstance(self._cache, PinningCache):
            self._cache.pin([key for release in needed for key in (cache_key(release), cache_key(release) + _FACTS_SUFFIX)])

    def _facts(self, key: str) -> dict[str, str]:
        stored = self._cache.read(key + _FACTS_SUFFIX)
        if stored is None:
            return {}
        with stored:
            return _read_facts(stored.read(_MOST_FACTS))


class SharedKeeping:
    """In a cache of many hosts: one value, which says in its first line what it is, under a key that no other source has."""

    pins = False
    """What is in use is renewed from time to time instead: see :mod:`dewy.sharing.upkeep`."""

    def __init__(self, cache: Cache, identity: _Identity) -> None:
        self._cache, self._identity = cache, identity

    def key(self, release: Release) -> str:
        """Where it is: another one for other bytes under the same version, of another registry say."""
        return f"{cache_key(release)}--{self._identity(release)}"

    def copy_out(self, release: Release, sink: Sink) -> str:
        """See :class:`Keeping`."""
        value = self._cache.read(self.key(release))
        if value is None:
            return ""
        with value:
            digest = _read_facts(value.readline(_MOST_FACTS)).get("digest", "")
            if not digest:
                raise DamagedError("it does not say what it is")
            shutil.copyfileobj(value, sink, _PIECE)
        return digest

    def head(self, digest: str) -> bytes:
        """See :class:`Keeping`."""
        return json.dumps({"digest": digest}).encode() + b"\n"

    def store(self, release: Release, digest: str, source: BinaryIO) -> None:
        """See :class:`Keeping`."""
        self._cache.write(self.key(release), source)

    def discard(self, release: Release) -> None:
        """See :class:`Keeping`."""
        self._cache.delete(self.key(release))

    def pin(self, needed: Iterable[Release | Deployed]) -> None:
        """See :class:`Keeping`."""


def _read_facts(text: bytes) -> dict[str, str]:
    return {name: value for name, value in read_object(text).items() if isinstance(value, str)}
