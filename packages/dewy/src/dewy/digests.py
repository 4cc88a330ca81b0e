"""What is trusted about bytes: the digests and sizes that a source states, held against what arrived."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from dewy.errors import ArtifactError
from dewy.types import Stated

__all__ = ["PRIMARY", "Hasher", "digest_of", "new_hasher", "verify"]

PRIMARY = "sha256"
"""The algorithm by which dewy itself remembers bytes."""

_PIECE = 1 << 20
_DIGEST = re.compile(r"([a-z0-9_-]+):([0-9a-f]{8,})\Z")


class Hasher(Protocol):
    """What hashlib's objects and ours have in common."""

    def update(self, data: bytes, /) -> None:
        """Takes more bytes."""

    def hexdigest(self) -> str:
        """The digest so far, lower case."""


class _Crc32:
    """CRC-32 as zip and S3 use it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def new_hasher(algorithm: str = PRIMARY) -> Hasher:
    """A hasher by the algorithm's name. Raises ValueError for one that dewy does not know."""
    if algorithm == "crc32":
        return _Crc32()
    if algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake"):
        return hashlib.new(algorithm, usedforsecurity=False)
    raise ValueError(f"unknown digest algorithm {algorithm!r}")


def digest_of(path: Path, algorithm: str = PRIMARY) -> str:
    """The digest of a file, ``ALGORITHM:HEX``. Raises ValueError for an algorithm dewy does not know."""
    hasher = new_hasher(algorithm)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return f"{algorithm}:{hasher.hexdigest()}"


def verify(path: Path, name: str, arrived: str, stated: Iterable[Stated]) -> None:
    """Holds a file that has arrived against everything that is stated of it.

    Args:
        path: The file.
        name: The artifact's name, for error texts.
        arrived: Its digest by the primary algorithm.
        stated: What the registry and the source say.

    Raises:
        ArtifactError: One of them does not match. Says which, and that nothing was deployed.
    """
    size = path.stat().st_size
    for statement in stated:
        if statement.size is not None and statement.size != size:
            raise ArtifactError(
                f"{name} has {size} bytes where {statement.size} are stated",
                "It is not deployed: publish it again as a whole",
            )
        for digest in statement.digests:
            _verify_digest(path, name, arrived, digest.lower())


def _verify_digest(path: Path, name: str, arrived: str, stated: str) -> None:
    match = _DIGEST.match(stated)
    if match is None:
        raise ArtifactError(f"the digest that is stated of {name} cannot be read: {stated[:80]!r}")
    try:
        actual = arrived if match[1] == PRIMARY else digest_of(path, match[1])
    except ValueError as error:
        raise ArtifactError(f"the digest that is stated of {name} cannot be checked: {error}") from None
    if actual != stated:
        raise ArtifactError(
            f"{name} is not what was published: {actual} arrived where {stated} is stated",
            "It is not deployed: publish it again, and find out who changed it",
        )
