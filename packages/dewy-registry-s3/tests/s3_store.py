"""A bucket of the test's S3 server as the conformance kit and the tests want it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dewy.objectstore import ObjectArtifact, ObjectCatalog, object_catalog
from dewy.testing import TestContext
from dewy.urls import BackendURL, parse_url
from dewy_registry_s3.connection import Access, Connection
from dewy_registry_s3.location import locate
from dewy_registry_s3.plugin import ARTIFACT, REGISTRY
from dewy_registry_s3.store import S3Store
from s3_proxy import Proxy
from seaweed import SeaweedFS


class Bucket:
    """A prefix of a bucket, beside which there are others."""

    def __init__(self, server: SeaweedFS, client: Any, name: str, prefix: str) -> None:
        self.server, self.client, self.name, self.prefix = server, client, name, prefix
        self.endpoint = server.endpoint
        self.proxy: Proxy | None = None

    @property
    def url(self) -> str:
        """The registry URL."""
        return f"s3://{self.server.region}/{self.name}/{self.prefix}?endpoint={self.endpoint}"

    def url_of(self, key: str) -> str:
        """The artifact URL of a key."""
        return f"s3://{self.server.region}/{self.name}/{quote(key)}?endpoint={self.endpoint}"

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        """Stores a version's files."""
        self.put_keys({f"{self.prefix}/{version}/{name}": content for name, content in files.items()})

    def put_keys(self, contents: Mapping[str, bytes]) -> None:
        """Stores objects, a few at a time."""
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(self.put_key, contents.keys(), contents.values()))

    def remove(self, version: str) -> None:
        """Removes them, and the empty folder that SeaweedFS goes on to list where S3 has none."""
        folder = f"{self.prefix}/{version}/"
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=folder)
        for key in [*(entry["Key"] for entry in listed.get("Contents", ())), folder]:
            self.client.delete_object(Bucket=self.name, Key=key)

    def put_key(self, key: str, content: bytes, **how: Any) -> str:
        """Stores an object; returns its artifact URL."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content, **how)
        return self.url_of(key)

    def put(self, name: str, content: bytes) -> str:
        """Stores a file; returns its artifact URL."""
        return self.put_key(f"{self.prefix}/v1.0.0/{name}", content)

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        """Stores a file whose first transfers break off half-way."""
        assert self.proxy
        self.proxy.cut(name, after=0.5, times=cuts)
        return self.put(name, content)

    def missing(self) -> str:
        """An artifact URL under which there is nothing."""
        return self.url_of(f"{self.prefix}/v1.0.0/there-is-no-such-file")

    def behind(self, proxy: Proxy) -> None:
        """Has this place's URLs lead through a proxy that can fail."""
        self.proxy, self.endpoint = proxy, proxy.endpoint


def catalog_of(url: str, context: TestContext, **access: Any) -> ObjectCatalog:
    """The catalog of a registry URL, with other time-outs, say."""
    parsed = parse_url(url, REGISTRY.options)
    store, path = _store(parsed, context, access)
    return object_catalog(store, parsed, path)


def artifact_of(url: str, context: TestContext, pauses: list[float] | None = None, **access: Any) -> ObjectArtifact:
    """The artifact of a URL, which writes down its pauses in place of waiting."""
    store, key = _store(parse_url(url, ARTIFACT.options), context, access)
    return ObjectArtifact(store, key, pause=[].append if pauses is None else pauses.append)


def _store(url: BackendURL, context: TestContext, access: dict[str, Any]) -> tuple[S3Store, str]:
    bucket, path = locate(url, context.environ)
    connection = Connection(replace(Access.from_environ(bucket.store, context.environ), **access), context.secret)
    return S3Store(bucket, connection), path
