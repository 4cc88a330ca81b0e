"""What every backend is held to, of whatever kind: its declaration, its URLs, how it opens, what it imports."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pluggy
import pytest

from dewy import hookspecs
from dewy.errors import UsageError
from dewy.testing.context import TestContext
from dewy.testing.failures import check_sentence
from dewy.testing.imports import foreign_imports
from dewy.testing.network import watch_network
from dewy.types import Backend
from dewy.urls import parse_url

__all__ = ["BackendConformance", "needs"]

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., None])

_NEEDS = "_dewy_needs"
_OPENS_WITHIN = 5.0
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_SECRET_NAME = re.compile(r"(^|-)(token|secret|password|passphrase|key)\Z")


def needs(*flags: str) -> Callable[[Test], Test]:
    """Marks a test of the kit that is only for backends whose class flags of these names are true; others do not have it."""

    def mark(test: Test) -> Test:
        setattr(test, _NEEDS, flags)
        return test

    return mark


class BackendConformance:
    """The part of the kit that is the same for all kinds; the classes of the kinds build on it."""

    __test__ = False

    backend: ClassVar[Backend[Any]]
    """The backend that is tested."""

    plugin: ClassVar[str]
    """The module that the entry point leads to."""

    hook: ClassVar[str]
    """The hook that brings backends of this kind; the kind's class sets it."""

    kind: ClassVar[str]
    """As error texts name it; the kind's class sets it."""

    patience: ClassVar[float] = 30.0
    """Seconds within which a call must have failed when the other side is down."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.__test__ = cls.__dict__.get("__test__", True)
        if cls.__test__:  # a base for others keeps all tests: their flags may be different
            for name, test in _conditional_tests(cls).items():
                setattr(cls, name, test if all(getattr(cls, flag) for flag in getattr(test, _NEEDS)) else None)

    # ------------------------------------------------------------------------------------------------- what to override

    @pytest.fixture
    def environ(self) -> Mapping[str, str]:
        """The environment that the backend sees, credentials for the test's store, say."""
        return {}

    # ------------------------------------------------------------------------------------------------------- for tests

    @pytest.fixture
    def context(self, tmp_path: Path, environ: Mapping[str, str]) -> Iterator[TestContext]:
        """What dewy lends to the backend."""
        context = TestContext(tmp_path / "context", environ)
        yield context
        context.close()

    def open(self, url: str, context: TestContext) -> Any:
        """Opens a URL of the backend as dewy does."""
        parsed = parse_url(url, self.backend.options, kind=self.kind)
        assert parsed.scheme in self.backend.schemes, f"{url} is not one of the backend's: {self.backend.schemes}"
        for secret in parsed.secrets:
            context.secret(secret)
        return self.backend.open(parsed, context)

    # ------------------------------------------------------------------------------------------------------- the tests

    def test_schemes_are_plain_and_lower_case(self) -> None:
        """A user's ``S3://`` is looked up in lower case."""
        assert self.backend.schemes, "a backend without a scheme is never found"
        for scheme in self.backend.schemes:
            assert _SCHEME.match(scheme), f"{scheme!r} is not a URL scheme in lower case"

    def test_summary_is_one_line(self) -> None:
        """``dewy plugins list`` shows it."""
        summary = self.backend.summary
        assert summary.strip(), "say in one line what the backend is"
        assert len(summary.splitlines()) == 1, f"the summary has several lines: {summary!r}"
        assert len(summary) <= 100, f"the summary is too long for a line: {summary!r}"

    def test_examples_parse(self) -> None:
        """The documentation shows them, so they must be right."""
        assert self.backend.examples, "give at least one example URL"
        for example in self.backend.examples:
            parsed = parse_url(example, self.backend.options, kind=self.kind)
            assert parsed.scheme in self.backend.schemes, f"the example {example} has a scheme that is not the backend's"

    def test_examples_open_without_network(self, context: TestContext) -> None:
        """Opening is instant, also when the other side is down; only a URL or an environment that is wrong may stop it."""
        for example in self.backend.examples:
            started = time.monotonic()
            with watch_network() as seen:
                try:
                    self.open(example, context)
                except UsageError as error:  # a token that is not in this environment, say
                    check_sentence(error)
            assert not seen, f"opening {example} talked to the network ({seen}): leave that to the first call"
            assert time.monotonic() - started < _OPENS_WITHIN, f"opening {example} is slow"

    def test_options_are_documented(self) -> None:
        """Their names and helps are what users see."""
        options = self.backend.options or ()
        assert len({option.name for option in options}) == len(options), "an option is declared twice"
        for option in options:
            assert _NAME.match(option.name), f"option {option.name!r}: lower case with dashes"
            assert option.help.strip(), f"option {option.name!r} has no help"
            assert not option.help.endswith("."), f"the help of {option.name!r} is a phrase, without a full stop"

    def test_option_defaults_have_their_kind(self) -> None:
        """A default is read as what the user writes is."""
        parse_url(f"{self.backend.schemes[0]}://host", self.backend.options, kind=self.kind)

    def test_secret_options_are_declared_so(self) -> None:
        """What is called a token or a password must not be shown."""
        for option in self.backend.options or ():
            if option.kind == "text" and _SECRET_NAME.search(option.name):
                assert option.secret, f"declare option {option.name!r} with secret=True"

    def test_unknown_option_is_refused(self) -> None:
        """A misspelt option must not be passed over in silence."""
        if self.backend.options is None:
            assert self.kind == "artifact", "only an artifact's query may belong to the resource: declare the options"
            return
        with pytest.raises(UsageError, match="no-such-option"):
            parse_url(f"{self.backend.schemes[0]}://host?no-such-option=1", self.backend.options, kind=self.kind)

    def test_plugin_imports_no_sdk(self) -> None:
        """Every dewy imports every plugin, also one whose URLs nobody uses: what is heavy is imported by ``open``."""
        for module in sorted({self.plugin, self.backend.open.__module__}):
            foreign = foreign_imports(module)
            assert not foreign, f"importing {module} loads {sorted(foreign)}: import that inside the function that opens"

    def test_plugin_brings_the_backend(self) -> None:
        """The hook is spelt right, takes what it may, and returns this backend."""
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(importlib.import_module(self.plugin))
        manager.check_pending()
        brought = [backend for backends in getattr(manager.hook, self.hook)() for backend in backends]
        assert any(backend is self.backend for backend in brought), f"{self.hook} of {self.plugin} does not return it"

    def test_plugin_is_found_by_its_entry_point(self) -> None:
        """Installing the distribution is all that a user does."""
        points = entry_points(group=hookspecs.PROJECT)
        assert self.plugin in {point.value for point in points}, (
            f"no installed distribution has an entry point in the group {hookspecs.PROJECT!r} that leads to {self.plugin}: "
            f"is it in pyproject.toml, and did you install the project (pip install -e .)?"
        )


def _conditional_tests(cls: type) -> dict[str, Callable[..., None]]:
    """The tests of the kit that depend on a flag, by name; the most derived ones."""
    return {
        name: value
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if callable(value) and hasattr(value, _NEEDS)
    }
