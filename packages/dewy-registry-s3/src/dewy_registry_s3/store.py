"""A bucket of S3 as dewy's object store: one request of the SDK each."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from dewy.objectstore import Fault, ListedObject, ObjectReader, ObjectStoreError, Sink
from dewy.types import Stated
from dewy_registry_s3.connection import Connection
from dewy_registry_s3.location import Bucket, locate
from dewy_registry_s3.stated import stated_of

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

    from dewy.types import Context
    from dewy.urls import BackendURL

__all__ = ["S3Store", "open_store"]

_PIECE = 1 << 20


class S3Store:
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
        for page in self._pages(prefix):
            yield [common.get("Prefix", "") for common in page.get("CommonPrefixes", ())]

    def objects(self, prefix: str) -> Iterator[Iterable[ListedObject]]:
        """The objects right below ``prefix``.

        An ETag tells of other bytes, but whether it is a digest only the object itself says: see ``stated``.
        """
        for page in self._pages(prefix):
            yield [
                ListedObject(
                    entry.get("Key", ""),
                    size=entry.get("Size"),
                    fingerprint=entry.get("ETag", "").strip('"') or None,
                    modified=entry.get("LastModified"),
                )
                for entry in page.get("Contents", ())
            ]

    def put_if_absent(self, key: str, content: bytes) -> None:
        """Stores a text object unless there is one."""
        from botocore.exceptions import ClientError

        request: dict[str, Any] = {
            "Bucket": self._bucket.name,
            "Key": key,
            "Body": content,
            "ContentType": "text/plain",
            # Known to every store, and what buckets with object lock insist on.
            "ContentMD5": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
        }
        with self._connection.client() as client:
            try:
                client.put_object(**request, IfNoneMatch="*")
            except ClientError as error:
                match error.response.get("ResponseMetadata", {}).get("HTTPStatusCode"):
                    case 412:  # it is there
                        return
                    case 501:  # the store has no conditional writes
                        client.put_object(**request)
                    case _:
                        raise

    def open(self, key: str) -> ObjectReader:
        """Asks for an object; its bytes have not been read yet."""
        return _Reader(self._bucket, key, self._connection)

    def _pages(self, prefix: str) -> Iterator[ListObjectsV2OutputTypeDef]:
        with self._connection.client() as client:
            paginator = client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self._bucket.name, Prefix=prefix, Delimiter="/"):
                # An empty list takes a version away, so that some other XML must not pass for one.
                if "IsTruncated" not in page:
                    raise _not_s3()
                yield page


class _Reader:
    """One object: the first answer has what is stated of it, and its bytes."""

    def __init__(self, bucket: Bucket, key: str, connection: Connection) -> None:
        self._where: dict[str, Any] = {"Bucket": bucket.name, "Key": key}
        self._connection = connection
        first = self._get(ChecksumMode="ENABLED")
        self._etag: str = first["ETag"]
        self._first: Mapping[str, Any] | None = first
        self.stated: Stated = stated_of(bucket.name, first)

    def read(self, start: int, to: Sink) -> None:
        """Passes the bytes on, of the same object only (by its ETag)."""
        answer, self._first = self._first or self._rest(start), None
        for piece in self._pieces(answer["Body"]):
            to.write(piece)

    def _pieces(self, body: StreamingBody) -> Iterator[bytes]:
        from botocore.exceptions import FlexibleChecksumError, HTTPClientError, ResponseStreamingError

        with closing(body), self._connection.client():
            while True:
                try:
                    piece = body.read(_PIECE)
                except (FlexibleChecksumError, HTTPClientError):
                    raise
                except Exception as error:  # whatever reading raises, the transfer is broken
                    raise ResponseStreamingError(error=error) from error
                if not piece:
                    return
                yield piece

    def _rest(self, start: int) -> Mapping[str, Any]:
        answer = self._get(Range=f"bytes={start}-", IfMatch=self._etag)
        if start and not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
            answer["Body"].close()
            raise ObjectStoreError(Fault(f"it broke off after {start} bytes, and the store does not send the rest alone"))
        return answer

    def _get(self, **request: Any) -> Mapping[str, Any]:
        with self._connection.client() as client:
            answer = client.get_object(**self._where, **request)
        if not answer.get("ETag"):
            answer["Body"].close()
            raise _not_s3()
        return answer


def _not_s3() -> ObjectStoreError:
    from dewy_registry_s3.faults import NOT_S3

    return ObjectStoreError(NOT_S3)


def open_store(url: BackendURL, context: Context) -> tuple[S3Store, str]:
    """The bucket that a URL names, and what stands after it. Raises UsageError."""
    bucket, path = locate(url, context.environ)
    return S3Store(bucket, Connection.of(bucket.store, context)), path
