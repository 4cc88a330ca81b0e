"""What holds for every test of the tree: whose code is tested, and what tests may import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent

# Helper modules (a server to talk to, say) stand beside the tests they were written for; every test may import them, so
# their names are unique in the tree (tests/repository holds them to it).
sys.path[:0] = sorted(str(folder) for folder in (*ROOT.glob("*/*/tests"), ROOT / "tests"))

if find_spec("hypothesis"):
    from hypothesis import settings

    # Two busy cores make one example slow now and then; pytest-timeout bounds the whole test instead.
    settings.register_profile("dewy", deadline=None)
    settings.load_profile("dewy")


def pytest_configure() -> None:
    """Under tox the built wheels are tested: a distribution that comes from the tree hides what its wheel lacks."""
    if "TOX_ENV_NAME" not in os.environ:
        return
    for name, origin in _origins():
        if ROOT in origin.parents and not origin.is_relative_to(sys.prefix):
            raise pytest.UsageError(f"{name} is imported from the tree ({origin}), not from its built wheel")


def _origins() -> Iterator[tuple[str, Path]]:
    for source in ROOT.glob("*/*/src/*"):
        spec = find_spec(source.stem) if source.stem.isidentifier() else None
        if spec and spec.origin:
            yield source.stem, Path(spec.origin).resolve()
