"""What an object store must be able to do so that dewy can deploy from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dewy.types import Stated

__all__ = ["ListedObject", "ObjectReader", "ObjectStore", "Sink"]


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object, as a listing has it. What the store does not say there stays None; nothing is guessed.

    Attributes:
        key: Its whole key.
        size: In bytes.
        digest: What the store states of the bytes; see :class:`dewy.types.ListedFile`.
        fingerprint: Changes when the bytes do: an ETag, a generation.
        modified: When it was last written. Aware of its time zone.
    """

    key: str
    size: int | None = None
    digest: str | None = None
    fingerprint: str | None = None
    modified: datetime | None = None


class Sink(Protocol):
    """Takes an object's bytes."""

    def write(self, piece: bytes, /) -> int:
        """Takes the next bytes, all of them; returns how many. What it raises ends the download: let it through."""


class ObjectReader(Protocol):
    """One object as it was when it was opened, on its way. Used by one thread, for one download."""

    @property
    def stated(self) -> Stated:
        """What the store said of the object's bytes. With a size, a transfer that ends too early is noticed."""

    def read(self, start: int, to: Sink) -> None:
        """Writes the bytes from ``start`` to the object's end, in pieces of about a megabyte.

        It is called with 0 first, and after a fault that is passing again with the number of bytes that have come. If the
        object was replaced meanwhile, or the store does not send the rest alone, that is a fault that is not.
        """


class ObjectStore(Protocol):
    """One bucket (some stores say container) of an object store, with the credentials to use it: its SDK's calls.

    Making one asks nobody. Its methods may be called from any thread, give up by themselves when the store is silent (in
    less than a minute: that long dewy waits for a sign of life), and raise :class:`ObjectStoreError` with the reason; what
    was being done, and on what, dewy adds. What a store sends is passed on as it is: dewy checks the names.
    """

    def url_of(self, key: str) -> str:
        """The artifact URL of an object in this bucket. It travels between hosts, so its form never changes.

        No credentials are in it. With an empty key, or a prefix, it is shown to people as the place.
        """

    def folders(self, prefix: str) -> Iterable[Iterable[str]]:
        """The common prefixes right below ``prefix``, which is empty or ends with a slash; each ends with one itself.

        Page by page, as the store sends them. An answer that is none of this store (a proxy's login page) is an error: an
        empty list would take the running version away.
        """

    def objects(self, prefix: str) -> Iterable[Iterable[ListedObject]]:
        """The objects right below ``prefix``, without those in folders there. Page by page, as :meth:`folders`."""

    def put_if_absent(self, key: str, content: bytes) -> None:
        """Stores a small ``text/plain`` object unless there is one of that key, which then stays; that is no error.

        In one step where the store can. It does no harm if it is made twice.
        """

    def open(self, key: str) -> ObjectReader:
        """Finds an object. That there is none is an error."""
