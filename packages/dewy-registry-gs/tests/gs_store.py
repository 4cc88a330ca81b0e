"""A bucket of the test's server as the conformance kit and the tests want it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_registry_gs.artifact import GoogleArtifact
from dewy_registry_gs.catalog import GoogleCatalog
from dewy_registry_gs.connection import Access, Connection
from dewy_registry_gs.location import Location
from dewy_registry_gs.plugin import ARTIFACT, REGISTRY
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


def catalog_of(url: str, context: TestContext, **access: Any) -> GoogleCatalog:
    """The catalog of a registry URL, with other time-outs, say."""
    location = Location.of_registry(parse_url(url, REGISTRY.options), context.environ)
    return GoogleCatalog(location, _connection(location, context, access))


def artifact_of(url: str, context: TestContext, pauses: list[float] | None = None, **access: Any) -> GoogleArtifact:
    """The artifact of a URL, which writes down its pauses in place of waiting."""
    location = Location.of_artifact(parse_url(url, ARTIFACT.options), context.environ)
    pause = [].append if pauses is None else pauses.append
    return GoogleArtifact(location, _connection(location, context, access), pause=pause)


def _connection(location: Location, context: TestContext, access: dict[str, Any]) -> Connection:
    return Connection(replace(Access.from_environ(location.store, context.environ), **access))
