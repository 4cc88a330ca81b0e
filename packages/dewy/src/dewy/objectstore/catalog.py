"""A bucket as a catalog: objects at ``PREFIX/VERSION/FILE``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from dewy.errors import RegistryError
from dewy.objectstore.faults import Fault, ObjectStoreError, told_as
from dewy.objectstore.keys import is_plain_name, prefix_in
from dewy.objectstore.store import ListedObject, ObjectStore
from dewy.types import ListedFile, ListedVersion

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["ObjectCatalog", "object_catalog"]

T = TypeVar("T")

_MOST_PAGES = 1000
"""Of 1,000 entries each, in most stores: one that lists without end is given up."""


class ObjectCatalog:
    """What a bucket has below a prefix: a :class:`dewy.types.AttachingCatalog`.

    Args:
        store: The bucket.
        prefix: What all keys begin with: empty, or it ends with a slash.
    """

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store, self._prefix = store, prefix
        self._shown = store.url_of(prefix.removesuffix("/")).rstrip("/")

    def versions(self) -> tuple[ListedVersion, ...]:
        """The folders right below the prefix. Object stores do not know when a folder came to be. Raises RegistryError."""
        with told_as(RegistryError, f"listing the versions in {self._shown}"):
            folders = tuple(_entries(self._store.folders(self._prefix)))
        tags = (_name_in(self._prefix, folder.removesuffix("/")) for folder in folders)
        return tuple(ListedVersion(tag) for tag in tags if tag)

    def files(self, version: ListedVersion) -> tuple[ListedFile, ...]:
        """The objects right below the version's folder, but for those with a name that no file has. Raises RegistryError."""
        folder = self._folder_of(version)
        with told_as(RegistryError, f"listing the files of {version.tag} in {self._shown}"):
            objects = tuple(_entries(self._store.objects(folder)))
        named = ((_name_in(folder, found.key), found) for found in objects)
        return tuple(self._file(name, found) for name, found in named if name)

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        """Stores a text object beside a version's files; one that is there stays as it is. Raises RegistryError."""
        if not is_plain_name(name):
            raise RegistryError(f"{name!r} cannot be stored in {self._shown}: it is not a file's name")
        key = self._folder_of(version) + name
        with told_as(RegistryError, f"storing {name} in {self._shown}"):
            self._store.put_if_absent(key, content.encode())

    def _folder_of(self, version: ListedVersion) -> str:
        if not is_plain_name(version.tag):
            raise RegistryError(f"{version.tag!r} cannot be a version in {self._shown}: it is not a folder's name")
        return f"{self._prefix}{version.tag}/"

    def _file(self, name: str, found: ListedObject) -> ListedFile:
        return ListedFile(
            name,
            self._store.url_of(found.key),
            size=found.size,
            digest=found.digest,
            fingerprint=found.fingerprint,
            modified=found.modified,
        )


def object_catalog(store: ObjectStore, url: BackendURL, path: str) -> ObjectCatalog:
    """The catalog in a bucket: what a plugin's ``open`` returns for a registry.

    Args:
        store: The bucket.
        url: The registry's, with the options :data:`dewy.types.CATALOG_OPTIONS`.
        path: What stands in it after the bucket, decoded: the prefix, with slashes around it or not.

    Raises:
        UsageError: No object can have such a key.
    """
    return ObjectCatalog(store, prefix_in(url, path))


def _entries(pages: Iterable[Iterable[T]]) -> Iterator[T]:
    """All entries of a list. Raises ObjectStoreError when it does not end."""
    for number, page in enumerate(pages):
        if number == _MOST_PAGES:
            raise ObjectStoreError(Fault(f"the list does not end after {_MOST_PAGES} pages"))
        yield from page


def _name_in(folder: str, key: str) -> str:
    """The name of what lies right in a folder; empty for what does not, and for what cannot be a name."""
    name = key.removeprefix(folder)
    return name if key.startswith(folder) and is_plain_name(name) else ""
