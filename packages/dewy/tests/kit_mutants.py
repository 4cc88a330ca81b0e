"""How the kit is tested: implementations that are wrong in one way each, and the tests that must fail for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dewy.testing import BackendConformance

__all__ = ["Mutant", "declared", "mutant"]


@dataclass(frozen=True)
class Mutant:
    """One wrong implementation under the kit.

    Attributes:
        name: What is wrong.
        suite: A subclass of a class of the kit.
        caught_by: The tests of it that must fail.
    """

    name: str
    suite: type[BackendConformance]
    caught_by: tuple[str, ...]


def mutant(suite: Any, broken: Any, *caught_by: str, **flags: object) -> Mutant:
    """A suite whose backend opens a broken implementation, by the suite's own ``build(broken, url, context)``."""
    backend = replace(suite.backend, open=lambda url, context: suite.build(broken, url, context))
    name = broken.__name__
    return Mutant(name, type(name, (suite,), {"backend": backend, "__test__": True, **flags}), caught_by)


def declared(suite: Any, name: str, caught_by: str, **changes: object) -> Mutant:
    """A suite whose backend is declared wrongly."""
    backend = replace(suite.backend, **changes)
    return Mutant(name, type(name, (suite,), {"backend": backend, "__test__": True}), (caught_by,))
