"""The bytes of one release, and what their source states of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

__all__ = [
    "Artifact",
    "Stated",
]


@dataclass(frozen=True, slots=True)
class Stated:
    """What a source said of the bytes it sent; dewy holds them against what arrived.

    Attributes:
        size: In bytes; None when it did not say.
        digests: Each ``ALGORITHM:HEX``. Algorithms that dewy can check: those of hashlib, and ``crc32``.
    """

    size: int | None = None
    digests: tuple[str, ...] = ()


class Artifact(Protocol):
    """One file at one URL."""

    def download(self, to: BinaryIO) -> Stated:
        """Streams the bytes into ``to``, in pieces, never all in memory.

        An interrupted transfer is continued from where it broke off, inside this call, where the protocol can. ``to``
        takes ``write`` only. Raises ArtifactError when it fails for good.
        """
