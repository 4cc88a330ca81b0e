"""A bucket as a catalog: objects at ``PREFIX/VERSION/FILE``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dewy.errors import RegistryError
from dewy.types import ListedFile, ListedVersion
from dewy_registry_gs.connection import Connection
from dewy_registry_gs.location import Location, is_plain_name
from dewy_registry_gs.stated import fingerprint_of, md5_of, modified_of, size_of

__all__ = ["GoogleCatalog"]

_MOST_PAGES = 1000
"""Of 1,000 entries each: a store that lists without end is given up."""
_VERSION_FIELDS = "kind,nextPageToken,prefixes"
_FILE_FIELDS = "kind,nextPageToken,items(name,size,md5Hash,generation,updated)"


class GoogleCatalog:
    """What a bucket has below a prefix: a :class:`dewy.types.AttachingCatalog`.

    Args:
        location: The bucket and the prefix.
        connection: The way to the store.
    """

    def __init__(self, location: Location, connection: Connection) -> None:
        self._location = location
        self._connection = connection

    def versions(self) -> tuple[ListedVersion, ...]:
        """The folders right below the prefix. Google does not know when a folder came to be."""
        folder = self._location.folder
        pages = self._pages(folder, _VERSION_FIELDS, f"listing the versions in {self._location}")
        prefixes = (str(prefix) for page in pages for prefix in page.get("prefixes", ()))
        tags = (prefix.removeprefix(folder).removesuffix("/") for prefix in prefixes if prefix.startswith(folder))
        return tuple(ListedVersion(tag) for tag in tags if is_plain_name(tag))

    def files(self, version: ListedVersion) -> tuple[ListedFile, ...]:
        """The objects right below the version's folder, but for those whose name cannot be a file's."""
        folder = self._folder_of(version)
        pages = self._pages(folder, _FILE_FIELDS, f"listing the files of {version.tag} in {self._location}")
        items = (
            (item, str(item.get("name", ""))) for page in pages for item in page.get("items", ()) if isinstance(item, dict)
        )
        return tuple(
            self._file(item, key, key.removeprefix(folder))
            for item, key in items
            if key.startswith(folder) and is_plain_name(key.removeprefix(folder))
        )

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        """Stores a text object beside a version's files; one that is there stays as it is. Raises RegistryError."""
        if not is_plain_name(name):
            raise RegistryError(f"{name!r} cannot be stored in {self._location}: it is not a file's name")
        key = self._folder_of(version) + name
        with self._connection.client(RegistryError, f"storing {name} in {self._location}") as client:
            from google.api_core.exceptions import PreconditionFailed

            try:
                client.bucket(self._location.bucket).blob(key).upload_from_string(
                    content,
                    content_type="text/plain",
                    if_generation_match=0,  # only if there is none: so a second try does no harm
                    timeout=self._connection.timeout,
                    retry=self._connection.retry,
                )
            except PreconditionFailed:
                return  # it is there

    def _folder_of(self, version: ListedVersion) -> str:
        if not is_plain_name(version.tag):
            raise RegistryError(f"{version.tag!r} cannot be a version in {self._location}: it is not a folder's name")
        return f"{self._location.folder}{version.tag}/"

    def _file(self, item: Mapping[str, object], key: str, name: str) -> ListedFile:
        return ListedFile(
            name,
            self._location.url_of(key),
            size=size_of(item),
            digest=md5_of(item),
            fingerprint=fingerprint_of(item),
            modified=modified_of(item),
        )

    def _pages(self, folder: str, fields: str, doing: str) -> Iterator[Mapping[str, Any]]:
        with self._connection.client(RegistryError, doing) as client:
            listing = client.list_blobs(
                self._location.bucket,
                prefix=folder or None,
                delimiter="/",
                fields=fields,
                timeout=self._connection.timeout,
                retry=self._connection.retry,
            )
            for number, page in enumerate(listing.pages):
                # An empty list takes a version away, so that some other JSON must not pass for one.
                if page.raw_page.get("kind") != "storage#objects":
                    raise RegistryError(
                        f"{doing} failed: the answer is not one of Google Cloud Storage",
                        "Check what stands between it and this host: a proxy, a firewall, a login page",
                    )
                if number == _MOST_PAGES:
                    raise RegistryError(f"{doing} failed: the list does not end after {_MOST_PAGES} pages")
                yield page.raw_page
