"""A bucket of the test's server as the conformance kit and the tests want it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dewy.objectstore import ObjectArtifact, ObjectCatalog, object_catalog
from dewy.testing import TestContext
from dewy.urls import BackendURL, parse_url
from dewy_registry_gs.connection import Access, Connection
from dewy_registry_gs.location import locate
from dewy_registry_gs.plugin import ARTIFACT, REGISTRY
from dewy_registry_gs.store import GoogleStore
from gcs_emulator import GcsEmulator
from s3_proxy import Proxy


class Bucket:
    """A prefix of a bucket, beside which there are others."""

    def __init__(self, server: GcsEmulator, client: Any, name: str, prefix: str) -> None:
        self.server, self.client, self.name, self.prefix = server, client, name, prefix
        self.proxy: Proxy | None = None

    @property
    def url(self) -> str:
        """The registry URL."""
        return f"gs://{self.name}/{self.prefix}"

    def url_of(self, key: str) -> str:
        """The artifact URL of a key."""
        return f"gs://{self.name}/{quote(key)}"

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        """Stores a version's files."""
        self.put_keys({f"{self.prefix}/{version}/{name}": content for name, content in files.items()})

    def put_keys(self, contents: Mapping[str, bytes]) -> None:
        """Stores objects, a few at a time."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.put_key, contents.keys(), contents.values()))

    def remove(self, version: str) -> None:
        """Removes them."""
        for blob in list(self.client.list_blobs(self.name, prefix=f"{self.prefix}/{version}/")):
            blob.delete()

    def blob(self, key: str) -> Any:
        """The SDK's object of a key."""
        return self.client.bucket(self.name).blob(key)

    def put_key(self, key: str, content: bytes) -> str:
        """Stores an object; returns its artifact URL."""
        self.blob(key).upload_from_string(content, content_type="application/octet-stream", timeout=30)
        return self.url_of(key)

    def put(self, name: str, content: bytes) -> str:
        """Stores a file; returns its artifact URL."""
        return self.put_key(f"{self.prefix}/v1.0.0/{name}", content)

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        """Stores a file whose first transfers break off half-way."""
        assert self.proxy
        self.proxy.cut(self.transfer(name), after=0.5, times=cuts)
        return self.put(name, content)

    def transfer(self, name: str) -> str:
        """What the paths of requests for a file's bytes begin with, as the proxy sees them; those for its facts do not."""
        return f"/download/storage/v1/b/{self.name}/o/{self.prefix}/v1.0.0/{name}"

    def missing(self) -> str:
        """An artifact URL under which there is nothing."""
        return self.url_of(f"{self.prefix}/v1.0.0/there-is-no-such-file")


def catalog_of(url: str, context: TestContext, **access: Any) -> ObjectCatalog:
    """The catalog of a registry URL, with other time-outs, say."""
    parsed = parse_url(url, REGISTRY.options)
    store, path = _store(parsed, context, access)
    return object_catalog(store, parsed, path)


def artifact_of(url: str, context: TestContext, pauses: list[float] | None = None, **access: Any) -> ObjectArtifact:
    """The artifact of a URL, which writes down its pauses in place of waiting."""
    store, key = _store(parse_url(url, ARTIFACT.options), context, access)
    return ObjectArtifact(store, key, pause=[].append if pauses is None else pauses.append)


def _store(url: BackendURL, context: TestContext, access: dict[str, Any]) -> tuple[GoogleStore, str]:
    bucket, path = locate(url, context.environ)
    return GoogleStore(bucket, Connection(replace(Access.from_environ(bucket.store, context.environ), **access))), path
