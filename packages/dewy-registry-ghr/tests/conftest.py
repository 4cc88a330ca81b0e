"""The GitHub that the tests talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dewy.testing import TestContext
from dewy_registry_ghr import api
from ghr_github import GitHub


@pytest.fixture
def github() -> Iterator[GitHub]:
    """A GitHub with an empty private repository."""
    with GitHub() as github:
        yield github


@pytest.fixture
def context(tmp_path: Path, github: GitHub) -> Iterator[TestContext]:
    """What dewy lends to the backends, with a token that may do all."""
    context = TestContext(tmp_path / "context", github.environ)
    yield context
    context.close()


@pytest.fixture(autouse=True)
def _warned_anew() -> None:
    """The warning about a missing token comes once a process: here once a test."""
    api._warn_of_anonymity.cache_clear()
