"""A bucket as a catalog: objects at ``PREFIX/VERSION/FILE``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dewy.errors import RegistryError
from dewy.types import ListedFile, ListedVersion
from dewy_registry_s3.connection import Connection
from dewy_registry_s3.location import Location, is_plain_name

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, ObjectTypeDef

__all__ = ["S3Catalog"]

_MOST_PAGES = 1000
"""Of 1,000 entries each: a store that lists without end is given up."""


class S3Catalog:
    """What a bucket has below a prefix: a :class:`dewy.types.AttachingCatalog`.

    Args:
        location: The bucket and the prefix.
        connection: The way to the store.
    """

    def __init__(self, location: Location, connection: Connection) -> None:
        self._location = location
        self._connection = connection

    def versions(self) -> tuple[ListedVersion, ...]:
        """The folders right below the prefix. S3 does not know when a folder came to be."""
        folder = self._location.folder
        pages = self._pages(folder, f"listing the versions in {self._location}")
        prefixes = (common.get("Prefix", "") for page in pages for common in page.get("CommonPrefixes", ()))
        tags = (prefix.removeprefix(folder).removesuffix("/") for prefix in prefixes if prefix.startswith(folder))
        return tuple(ListedVersion(tag) for tag in tags if is_plain_name(tag))

    def files(self, version: ListedVersion) -> tuple[ListedFile, ...]:
        """The objects right below the version's folder, but for those whose name cannot be a file's."""
        folder = self._folder_of(version)
        pages = self._pages(folder, f"listing the files of {version.tag} in {self._location}")
        objects = (entry for page in pages for entry in page.get("Contents", ()))
        listed = ((entry, entry.get("Key", "")) for entry in objects)
        return tuple(
            self._file(entry, key, key.removeprefix(folder))
            for entry, key in listed
            if key.startswith(folder) and is_plain_name(key.removeprefix(folder))
        )

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        """Stores a text object beside a version's files; one that is there stays as it is. Raises RegistryError."""
        if not is_plain_name(name):
            raise RegistryError(f"{name!r} cannot be stored in {self._location}: it is not a file's name")
        body = content.encode()
        request: dict[str, Any] = {
            "Bucket": self._location.bucket,
            "Key": self._folder_of(version) + name,
            "Body": body,
            "ContentType": "text/plain",
            # Known to every store, and what buckets with object lock insist on.
            "ContentMD5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        }
        from botocore.exceptions import ClientError

        with self._connection.client(RegistryError, f"storing {name} in {self._location}") as client:
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

    def _folder_of(self, version: ListedVersion) -> str:
        if not is_plain_name(version.tag):
            raise RegistryError(f"{version.tag!r} cannot be a version in {self._location}: it is not a folder's name")
        return f"{self._location.folder}{version.tag}/"

    def _file(self, entry: ObjectTypeDef, key: str, name: str) -> ListedFile:
        """The ETag tells of other bytes, but whether it is a digest only the object itself says: see ``stated``."""
        return ListedFile(
            name,
            self._location.url_of(key),
            size=entry.get("Size"),
            fingerprint=entry.get("ETag", "").strip('"') or None,
            modified=entry.get("LastModified"),
        )

    def _pages(self, folder: str, doing: str) -> Iterator[ListObjectsV2OutputTypeDef]:
        with self._connection.client(RegistryError, doing) as client:
            paginator = client.get_paginator("list_objects_v2")
            pages = paginator.paginate(Bucket=self._location.bucket, Prefix=folder, Delimiter="/")
            for number, page in enumerate(pages):
                # An empty list takes a version away, so that some other XML must not pass for one.
                if "IsTruncated" not in page:
                    raise RegistryError(
                        f"{doing} failed: the answer is not one of an S3 store",
                        "Check the endpoint and what stands between it and this host",
                    )
                if number == _MOST_PAGES:
                    raise RegistryError(f"{doing} failed: the list does not end after {_MOST_PAGES} pages")
                yield page
