"""The servers that the tests talk to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from dewy_cache_redis.store import RedisStore
from redis_server import KINDS, RedisServer, binary_of
from redis_stores import store_of

_NUMBERS = count(1)


@pytest.fixture(scope="session", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, then a real Valkey, for all tests of the run."""
    with RedisServer(binary_of(request.param), tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture(params=KINDS)
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may stop, or set up as it likes."""
    with RedisServer(binary_of(request.param), tmp_path / "server") as server:
        yield server


@pytest.fixture
def store(server: RedisServer) -> RedisStore:
    """A store on the server of the run."""
    return store_of(server.url)


@pytest.fixture
def prefix() -> str:
    """One that no other test uses."""
    return f"test-{next(_NUMBERS)}:"
