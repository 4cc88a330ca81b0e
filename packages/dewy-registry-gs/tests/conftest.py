"""The servers that the tests talk to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from dewy.testing import TestContext
from gcs_emulator import READ_ONLY, GcsEmulator
from gs_store import Bucket
from s3_proxy import Proxy

with warnings.catch_warnings():
    # Where another plugin has brought grpc, the SDK is sorry that grpcio-status is not there; nothing here speaks gRPC.
    warnings.simplefilter("ignore", ImportWarning)
    import google.api_core.exceptions  # noqa: F401

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def gcs() -> Iterator[GcsEmulator]:
    """A real server, for all tests of the run."""
    with GcsEmulator() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_client(gcs: GcsEmulator) -> object:
    """A client of it; two buckets are there."""
    client = gcs.client()
    for name in ("releases", READ_ONLY):
        client.create_bucket(name)
    return client


@pytest.fixture
def bucket(gcs: GcsEmulator, gcs_client: object) -> Bucket:
    """An empty place in a bucket."""
    return Bucket(gcs, gcs_client, "releases", f"apps/myapp-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def session_proxy(gcs: GcsEmulator) -> Iterator[Proxy]:
    """One proxy for all tests, so that they share clients too."""
    with Proxy(gcs.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(bucket: Bucket, session_proxy: Proxy) -> Iterator[Proxy]:
    """A proxy without rules, through which ``context`` leads."""
    session_proxy.reset()
    bucket.proxy = session_proxy
    yield session_proxy
    session_proxy.reset()


@pytest.fixture
def context(tmp_path: Path, proxy: Proxy) -> TestContext:
    """What dewy lends to the backends; they ask through the proxy."""
    return TestContext(tmp_path / "context", {"STORAGE_EMULATOR_HOST": proxy.endpoint})
