"""The agents that the tests talk to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from consul_agent import Agent, start_agent
from consul_stores import store_of
from dewy_cache_consul.store import ConsulStore

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A real agent for all tests of the run."""
    with start_agent(tmp_path_factory.mktemp("consul")) as agent:
        yield agent


@pytest.fixture
def own_agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent that a test may stop."""
    with start_agent(tmp_path / "consul") as agent:
        yield agent


@pytest.fixture
def store(agent: Agent) -> ConsulStore:
    """A store on the agent of the run."""
    return store_of(agent.url)


@pytest.fixture
def prefix() -> str:
    """One that no other test uses."""
    return f"test-{next(_NUMBERS)}"
