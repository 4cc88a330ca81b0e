"""The servers that the tests talk to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from dewy.testing import TestContext
from s3_proxy import Proxy
from s3_store import Bucket
from seaweed import SeaweedFS

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real S3 server, for all tests of the run."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def client(seaweed: SeaweedFS) -> object:
    """A boto3 client of it; three buckets are there."""
    client = seaweed.client()
    for name in ("releases", "readable", "public"):
        client.create_bucket(Bucket=name)
    return client


@pytest.fixture
def bucket(seaweed: SeaweedFS, client: object) -> Bucket:
    """An empty place in a bucket."""
    return Bucket(seaweed, client, "releases", f"apps/myapp-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def session_proxy(seaweed: SeaweedFS) -> Iterator[Proxy]:
    """One proxy for all tests, so that they share clients too."""
    with Proxy(seaweed.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(bucket: Bucket, session_proxy: Proxy) -> Iterator[Proxy]:
    """A proxy without rules, through which the bucket's URLs lead."""
    session_proxy.reset()
    bucket.behind(session_proxy)
    yield session_proxy
    session_proxy.reset()


@pytest.fixture
def context(tmp_path: Path, seaweed: SeaweedFS) -> TestContext:
    """What dewy lends to the backends, with credentials that may do all."""
    return TestContext(tmp_path / "context", seaweed.environ)
