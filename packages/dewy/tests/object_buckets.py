"""An object store in this process, for tests: what a store's SDK is to its plugin, and how stores fail."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import TypeVar
from urllib.parse import quote

from dewy import hookimpl
from dewy.objectstore import (
    Fault,
    ListedObject,
    ObjectReader,
    ObjectStoreError,
    Sink,
    object_artifact,
    object_catalog,
)
from dewy.types import CATALOG_OPTIONS, Artifact, AttachingCatalog, Backend, Context, Stated
from dewy.urls import BackendURL

__all__ = ["ARTIFACT", "BROKE_OFF", "REGISTRY", "Bucket", "Releases", "bucket_at", "dewy_artifacts", "dewy_registries"]

BROKE_OFF = Fault("the connection broke off", "Mend it", passing=True)

T = TypeVar("T")

_PAGE = 50
_PIECE = 1 << 20
_NUMBERS = count(1)
_BUCKETS: dict[str, Bucket] = {}


class Bucket:
    """A bucket by the name in its URL, ``bucket://NAME/KEY``.

    Attributes:
        stored: The objects by key, each with the number of the write that made it.
        reads: The byte at which each transfer was to begin, in order.
        cuts: How many of a key's transfers still break off half-way.
        before: Is called with each operation and key or prefix; may raise or change something.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.stored: dict[str, tuple[bytes, int]] = {}
        self.reads: list[int] = []
        self.cuts: Counter[str] = Counter()
        self.before: Callable[[str, str], None] = lambda _operation, _key: None

    def put(self, key: str, content: bytes) -> str:
        """Stores an object; returns its artifact URL."""
        self.stored[key] = content, next(_NUMBERS)
        return self.url_of(key)

    def url_of(self, key: str) -> str:
        return f"bucket://{self.name}/{quote(key)}"

    def folders(self, prefix: str) -> Iterator[list[str]]:
        self.before("folders", prefix)
        names = {name for name, slash, _ in self._below(prefix) if slash}
        yield from _pages([f"{prefix}{name}/" for name in sorted(names)])

    def objects(self, prefix: str) -> Iterator[list[ListedObject]]:
        self.before("objects", prefix)
        keys = sorted(prefix + name for name, slash, _ in self._below(prefix) if not slash)
        yield from _pages([self._listed(key) for key in keys])

    def put_if_absent(self, key: str, content: bytes) -> None:
        self.before("put_if_absent", key)
        self.stored.setdefault(key, (content, next(_NUMBERS)))

    def open(self, key: str) -> ObjectReader:
        self.before("open", key)
        return _Reader(self, key)

    def content(self, key: str, generation: int | None = None) -> tuple[bytes, int]:
        """An object, of that generation if one is given."""
        found = self.stored.get(key)
        if found is None:
            raise ObjectStoreError(Fault("there is no such object", "It may have been removed since it was listed"))
        if generation not in (None, found[1]):
            raise ObjectStoreError(Fault("the object was replaced meanwhile", "dewy starts again with the new one"))
        return found

    def _below(self, prefix: str) -> Iterator[tuple[str, str, str]]:
        return (key.removeprefix(prefix).partition("/") for key in self.stored if key.startswith(prefix))

    def _listed(self, key: str) -> ListedObject:
        content, generation = self.stored[key]
        return ListedObject(key, len(content), f"md5:{hashlib.md5(content).hexdigest()}", str(generation))


def _pages(entries: list[T]) -> Iterator[list[T]]:
    return (entries[at : at + _PAGE] for at in range(0, len(entries), _PAGE))


class _Reader:
    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        content, self._generation = bucket.content(key)
        self.stated = Stated(len(content))

    def read(self, start: int, to: Sink) -> None:
        self._bucket.reads.append(start)
        self._bucket.before("read", self._key)
        content, _ = self._bucket.content(self._key, self._generation)
        cut = self._bucket.cuts[self._key] > 0
        end = (start + len(content)) // 2 if cut else len(content)
        for at in range(start, end, _PIECE):
            to.write(content[at : min(at + _PIECE, end)])
        if cut:
            self._bucket.cuts[self._key] -= 1
            raise ObjectStoreError(BROKE_OFF)


def bucket_at(name: str) -> Bucket:
    """The bucket of a name; ``down`` does not answer."""
    bucket = _BUCKETS.setdefault(name, Bucket(name))
    if name == "down":

        def refuse(_operation: str, _key: str) -> None:
            raise ObjectStoreError(Fault("no connection to the store", "Start it", passing=True))

        bucket.before = refuse
    return bucket


class Releases:
    """A place in a bucket as the conformance kit wants it."""

    def __init__(self) -> None:
        self.bucket, self.prefix = bucket_at(f"releases-{next(_NUMBERS)}"), "apps/my app"
        self.url = self.bucket.url_of(self.prefix)

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self.bucket.put(f"{self.prefix}/{version}/{name}", content)

    def remove(self, version: str) -> None:
        for key in [key for key in self.bucket.stored if key.startswith(f"{self.prefix}/{version}/")]:
            del self.bucket.stored[key]

    def put(self, name: str, content: bytes) -> str:
        return self.bucket.put(f"{self.prefix}/{name}", content)

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        self.bucket.cuts[f"{self.prefix}/{name}"] = cuts
        return self.put(name, content)

    def missing(self) -> str:
        return self.bucket.url_of("there/is/none")


def _open_registry(url: BackendURL, _context: Context) -> AttachingCatalog:
    return object_catalog(bucket_at(url.host), url, url.path.removeprefix("/"))


def _open_artifact(url: BackendURL, _context: Context) -> Artifact:
    return object_artifact(bucket_at(url.host), url, url.path.removeprefix("/"))


REGISTRY: Backend[AttachingCatalog] = Backend(
    schemes=("bucket",),
    summary="a dictionary of objects",
    examples=("bucket://releases/myapp",),
    open=_open_registry,
    options=CATALOG_OPTIONS,
)
ARTIFACT: Backend[Artifact] = Backend(
    schemes=("bucket",), summary="an object in a dictionary", examples=("bucket://releases/app.zip",), open=_open_artifact
)


@hookimpl
def dewy_registries() -> list[Backend[AttachingCatalog]]:
    return [REGISTRY]


@hookimpl
def dewy_artifacts() -> list[Backend[Artifact]]:
    return [ARTIFACT]
