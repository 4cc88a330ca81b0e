"""A bucket of Google Cloud Storage as dewy's object store: one request of the SDK each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dewy.objectstore import Fault, ListedObject, ObjectReader, ObjectStoreError, Sink
from dewy.types import Stated
from dewy_registry_gs.connection import Connection
from dewy_registry_gs.location import Bucket, locate
from dewy_registry_gs.stated import crc32c_of, fingerprint_of, md5_of, modified_of, size_of

if TYPE_CHECKING:
    from dewy.types import Context
    from dewy.urls import BackendURL

__all__ = ["GoogleStore", "open_store"]

_FOLDER_FIELDS = "kind,nextPageToken,prefixes"
_OBJECT_FIELDS = "kind,nextPageToken,items(name,size,md5Hash,generation,updated)"


class GoogleStore:
    """One bucket: a :class:`dewy.objectstore.ObjectStore`.

    Args:
        bucket: Which.
        connection: The way to it.
    """

    def __init__(self, bucket: Bucket, connection: Connection) -> None:
        self._bucket, self._connection = bucket, connection

    def url_of(self, key: str) -> str:
        """The artifact URL of an object."""
        return self._bucket.url_of(key)

    def folders(self, prefix: str) -> Iterator[Iterable[str]]:
        """The common prefixes right below ``prefix``."""
        for page in self._pages(prefix, _FOLDER_FIELDS):
            yield [str(folder) for folder in page.get("prefixes", ())]

    def objects(self, prefix: str) -> Iterator[Iterable[ListedObject]]:
        """The objects right below ``prefix``."""
        for page in self._pages(prefix, _OBJECT_FIELDS):
            yield [
                ListedObject(
                    str(item.get("name", "")),
                    size=size_of(item),
                    digest=md5_of(item),
                    fingerprint=fingerprint_of(item),
                    modified=modified_of(item),
                )
                for item in page.get("items", ())
                if isinstance(item, dict)
            ]

    def put_if_absent(self, key: str, content: bytes) -> None:
        """Stores a text object unless there is one."""
        with self._connection.client() as client:
            from google.api_core.exceptions import PreconditionFailed

            try:
                client.bucket(self._bucket.name).blob(key).upload_from_string(
                    content,
                    content_type="text/plain",
                    if_generation_match=0,  # only if there is none: so a second try does no harm
                    timeout=self._connection.timeout,
                    retry=self._connection.retry,
                )
            except PreconditionFailed:
                return  # it is there

    def open(self, key: str) -> ObjectReader:
        """Asks what the store has under a key."""
        return _Reader(self._bucket, key, self._connection)

    def _pages(self, prefix: str, fields: str) -> Iterator[Mapping[str, Any]]:
        with self._connection.client() as client:
            listing = client.list_blobs(
                self._bucket.name,
                prefix=prefix or None,
                delimiter="/",
                fields=fields,
                timeout=self._connection.timeout,
                retry=self._connection.retry,
            )
            for page in listing.pages:
                # An empty list takes a version away, so that some other JSON must not pass for one.
                if page.raw_page.get("kind") != "storage#objects":
                    raise _not_google()
                yield page.raw_page


class _Reader:
    """One object.

    The core does not know CRC-32C, the one checksum that every object has: it is checked here.
    """

    def __init__(self, bucket: Bucket, key: str, connection: Connection) -> None:
        self._bucket, self._key, self._connection = bucket, key, connection
        with connection.client() as client:
            blob = client.bucket(bucket.name).blob(key)
            blob.reload(timeout=connection.timeout, retry=connection.retry)
            said = {"size": blob.size, "generation": blob.generation, "md5Hash": blob.md5_hash, "crc32c": blob.crc32c}
        size, generation, md5 = size_of(said), fingerprint_of(said), md5_of(said)
        if size is None or generation is None:
            raise _not_google()
        self._generation = int(generation)
        self._checksum = _Checksum(size, crc32c_of(said))
        self.stated: Stated = Stated(size, (md5,) if md5 else ())

    def read(self, start: int, to: Sink) -> None:
        """Has the SDK write the bytes as they are stored, of the same object only (by its generation)."""
        try:
            with self._connection.client() as client:
                # A blob that knows nothing: one that was loaded goes to whatever address the answer named.
                client.bucket(self._bucket.name).blob(self._key).download_to_file(
                    _CheckedSink(to, self._checksum),
                    start=start or None,
                    raw_download=True,  # what is stored, not what a gzip encoding unpacks to: the checksums are of that
                    if_generation_match=self._generation,
                    checksum=None,
                    timeout=self._connection.timeout,
                    retry=None,
                )
        finally:  # also where the connection broke off right after the last byte
            self._checksum.check()


class _Checksum:
    """The CRC-32C of what has come.

    Args:
        size: How many bytes there are.
        stated: The object's; None when the store did not say.
    """

    def __init__(self, size: int, stated: int | None) -> None:
        from google_crc32c import extend

        self._left, self._stated, self._extend = size, stated, extend
        self._found = 0

    def add(self, piece: bytes) -> None:
        """Takes the next bytes."""
        self._found = self._extend(self._found, piece)
        self._left -= len(piece)

    def check(self) -> None:
        """Raises ObjectStoreError when all bytes have come and something on the way has changed them."""
        if self._left == 0 and self._stated not in (None, self._found):
            reason = "the bytes that arrived are not those the store took its checksum of"
            raise ObjectStoreError(Fault(reason, "dewy tries again"))


class _CheckedSink:
    """Where the SDK writes to."""

    def __init__(self, to: Sink, checksum: _Checksum) -> None:
        self._to, self._checksum = to, checksum

    def write(self, piece: bytes) -> int:
        """Passes a piece on."""
        written = self._to.write(piece)
        self._checksum.add(piece)
        return written


def _not_google() -> ObjectStoreError:
    from dewy_registry_gs.faults import NOT_GOOGLE

    return ObjectStoreError(NOT_GOOGLE)


def open_store(url: BackendURL, context: Context) -> tuple[GoogleStore, str]:
    """The bucket that a URL names, and what stands after it. Raises UsageError."""
    bucket, path = locate(url, context.environ)
    return GoogleStore(bucket, Connection.of(bucket.store, context)), path
