"""The conformance kit finds what it is there to find: every test of it fails for some implementation that is wrong."""

from __future__ import annotations

from types import ModuleType

import pytest

import kit_mutants_artifacts
import kit_mutants_backends
import kit_mutants_caches
import kit_mutants_catalogs
import kit_mutants_people
import kit_mutants_shared
from dewy import testing
from dewy.testing import BackendConformance
from kit_mutants import Mutant

pytest_plugins = ["pytester"]

MODULES = (
    kit_mutants_artifacts,
    kit_mutants_backends,
    kit_mutants_caches,
    kit_mutants_catalogs,
    kit_mutants_people,
    kit_mutants_shared,
)
MUTANTS = [
    pytest.param(module, number, mutant, id=f"{module.__name__.removeprefix('kit_mutants_')}-{mutant.name}")
    for module in MODULES
    for number, mutant in enumerate(module.MUTANTS)
]
RIGHT = ["ArtifactSuite", "RegistrySuite", "NotifierSuite"]
"""Those of the other suites are the built-in backends, whose own tests run the kit."""
ALONE = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist")
KINDS = [getattr(testing, name) for name in testing.__all__ if name.endswith("Conformance")]


def _tests_of(suite: type) -> set[str]:
    return {name for base in suite.__mro__ for name in vars(base) if name.startswith("test_")}


@pytest.mark.parametrize(("module", "number", "mutant"), MUTANTS)
def test_a_wrong_implementation_is_caught(
    module: ModuleType, number: int, mutant: Mutant, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(f"import {module.__name__}\nTestMutant = {module.__name__}.MUTANTS[{number}].suite")
    run = pytester.inline_run(*ALONE, "-k", " or ".join(mutant.caught_by))
    _, skipped, failed = run.listoutcomes()
    caught = {report.location[2].partition(".")[2].partition("[")[0] for report in failed if report.when == "call"}
    assert not skipped
    assert caught == set(mutant.caught_by)


@pytest.mark.parametrize("suite", RIGHT)
def test_the_right_implementation_passes(suite: str, pytester: pytest.Pytester) -> None:
    module = next(module.__name__ for module in MODULES if suite in vars(module))
    pytester.makepyfile(f"import {module}\nclass TestRight({module}.{suite}): pass")
    passed, skipped, failed = pytester.inline_run(*ALONE, "-k", "not test_plugin").listoutcomes()
    assert (skipped, failed) == ([], [])
    assert len(passed) > 10


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_test_of_the_kit_catches_something(kind: type[BackendConformance]) -> None:
    caught = {
        name
        for parameter in MUTANTS
        if issubclass(parameter.values[2].suite, kind)
        for name in parameter.values[2].caught_by
    }
    own = _tests_of(kind) - (set() if kind is BackendConformance else _tests_of(BackendConformance))
    assert own
    assert own <= caught, f"no wrong implementation shows that these find one: {sorted(own - caught)}"


def test_the_classes_of_the_kit_are_not_collected_and_their_subclasses_are(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from dewy.backends.plugin import MEMORY_CACHE
        from dewy.testing import *
        from dewy.testing import TestContext

        class Mine(CacheConformance):
            backend = MEMORY_CACHE
        """
    )
    items, _ = pytester.inline_genitems()
    assert items
    assert {item.nodeid.split("::")[1] for item in items} == {"Mine"}


def test_a_flag_decides_whether_its_tests_are_there() -> None:
    class Base(testing.CacheConformance):
        __test__ = False
        backend = kit_mutants_caches.MEMORY_CACHE

    class Plain(Base):
        remote = False

    class Atomic(Plain):
        atomic = True

    def present(suite: type, name: str) -> bool:
        return callable(getattr(suite, name))

    assert not present(Plain, "test_one_of_many_claims")
    assert present(Atomic, "test_one_of_many_claims")
    assert not present(Atomic, "test_failing_store_is_an_error")
    assert not present(Atomic, "test_pins_survive_a_restart")
