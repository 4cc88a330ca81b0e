"""The conformance kit, on a real Redis and a real Valkey."""

from __future__ import annotations

import pytest

from dewy.testing import CacheConformance
from dewy_cache_redis.plugin import CACHE
from redis_server import RedisServer


class TestRedisCache(CacheConformance):
    backend = CACHE
    plugin = "dewy_cache_redis.plugin"
    atomic = True
    remote = True
    shared = True
    streams = True
    tidies = True
    watches = True
    patience = 10.0

    @pytest.fixture
    def url(self, server: RedisServer, prefix: str) -> str:
        return f"{server.url}?prefix={prefix}&keep=100&max-size=200M"

    @pytest.fixture
    def unreachable(self) -> str:
        return "redis://:s3cret-of-the-test@127.0.0.1:1"
