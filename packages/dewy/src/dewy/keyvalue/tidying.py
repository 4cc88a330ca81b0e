"""What a shared cache lets go by itself: what interrupted writers left, what nothing leads to, what has grown old (R45).

Hosts die, their clocks differ, and nobody may remove what another host needs. So nothing goes because of a time that a
record states, but only after this process has itself seen it unchanged for long enough; a host that needs an artifact
renews it more often than that.
"""

from __future__ import annotations

from collections.abc import Collection

from dewy.keyvalue.blobs import SILENT, Blobs
from dewy.keyvalue.clocks import Clocks
from dewy.keyvalue.names import Names
from dewy.keyvalue.records import Blob, Pointer
from dewy.keyvalue.sightings import Sightings

__all__ = ["RENEWALS", "Tidying"]

RENEWALS = 8
"""So often in an artifact's time to live a host says that it needs it."""
_UNRENEWED = 4
"""So many renewals that do not come are no accident: nobody needs it."""


class Tidying:
    """Looks through a cache, again and again; what it has seen unchanged for long enough goes.

    Args:
        names: The names.
        blobs: The contents.
        ttl: Seconds after which an artifact goes that no host has needed.
        clocks: What time it goes by.
    """

    def __init__(self, names: Names, blobs: Blobs, ttl: float, clocks: Clocks) -> None:
        self._names, self._blobs, self._ttl, self._wall = names, blobs, ttl, clocks.wall
        self._sightings = Sightings(clocks.monotonic)

    def run(self) -> None:
        """Looks once. Raises CacheError."""
        seen: set[str] = set()
        blobs = dict(self._blobs.records())
        pointed = self._names_gone(blobs, seen)
        self._blobs_gone(blobs, pointed, seen)
        self._uploads_gone(blobs, seen)
        self._sightings.keep_only(seen)

    def _names_gone(self, blobs: Collection[str], seen: set[str]) -> set[str]:
        """Lets go small values that nobody changes and names that lead nowhere; the digests that the rest leads to."""
        pointed = set()
        for key, stored in self._names.all():
            value = stored.value
            leads = isinstance(value, Pointer)
            if isinstance(value, Pointer) and value.digest in blobs:
                pointed.add(value.digest)
            elif self._age(f"name {key}", value, seen) >= (SILENT if leads else self._ttl):
                self._names.compare_and_set(key, value, None)
        return pointed

    def _blobs_gone(self, blobs: dict[str, Blob | None], pointed: Collection[str], seen: set[str]) -> None:
        """Lets go blobs that nobody finishes, that nothing leads to, or that no host has needed for long."""
        for digest, blob in blobs.items():
            if blob is None:
                continue
            age = self._age(f"blob {digest}", (blob.stamp, digest in pointed), seen)
            if blob.state == "whole" and digest in pointed:
                # the stated time may hasten it, never decide: it is of another host's clock
                late = self._wall() - blob.used > self._ttl
                old = age >= (_UNRENEWED * self._ttl / RENEWALS if late else self._ttl)
            else:
                old = age >= SILENT
            if old:
                self._blobs.remove(digest, blob)

    def _uploads_gone(self, blobs: dict[str, Blob | None], seen: set[str]) -> None:
        """Lets go pieces that belong to no record: their writer was killed while it removed them, or taken for dead."""
        present = {blob.upload for _digest, blob in self._blobs.records() if blob}
        present |= {blob.upload for blob in blobs.values() if blob}
        for upload in self._blobs.uploads() - present:
            if self._age(f"upload {upload}", None, seen) >= SILENT:
                self._blobs.remove_pieces(upload)

    def _age(self, key: str, value: object, seen: set[str]) -> float:
        seen.add(key)
        return self._sightings.age(key, value)
