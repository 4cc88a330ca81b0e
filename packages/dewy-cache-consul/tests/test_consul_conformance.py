"""The conformance kit, on a real agent."""

from __future__ import annotations

import pytest

from consul_agent import Agent
from dewy.testing import CacheConformance
from dewy_cache_consul.plugin import CACHE


class TestConsulCache(CacheConformance):
    backend = CACHE
    plugin = "dewy_cache_consul.plugin"
    atomic = True
    remote = True
    shared = True
    streams = True
    tidies = True
    watches = True
    patience = 10.0

    @pytest.fixture
    def url(self, agent: Agent, prefix: str) -> str:
        return f"{agent.url}/{prefix}?keep=100&max-size=200M"

    @pytest.fixture
    def unreachable(self) -> str:
        return "consul://127.0.0.1:1/dewy?token=s3cret-of-the-test"
