"""Backends whose declaration or plugin is wrong in one way each, and the tests of the kit that must say so."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from dewy.backends.plugin import MEMORY_CACHE
from dewy.types import Option
from kit_mutants import Mutant, declared
from kit_mutants_caches import MemorySuite

OPTIONS = MEMORY_CACHE.options or ()


def asks_somebody(url: Any, context: Any) -> Any:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()
    return MEMORY_CACHE.open(url, context)


def with_option(**changes: Any) -> tuple[Option, ...]:
    return (*OPTIONS, Option(**{"name": "more", "help": "what it does"} | changes))


class HeavyPlugin(MemorySuite):
    """Its module loads more than it should, brings nothing, and no entry point leads to it."""

    __test__ = True
    plugin = "pytest"


MUTANTS = [
    declared(MemorySuite, "UpperCaseScheme", "test_schemes_are_plain_and_lower_case", schemes=("Memory",)),
    declared(MemorySuite, "LongSummary", "test_summary_is_one_line", summary="a cache\nin memory"),
    declared(MemorySuite, "NoSummary", "test_summary_is_one_line", summary=""),
    declared(MemorySuite, "NoExample", "test_examples_parse", examples=()),
    declared(MemorySuite, "ExampleWithUnknownOption", "test_examples_parse", examples=("memory://?kep=3",)),
    declared(MemorySuite, "ExampleOfAnotherScheme", "test_examples_parse", examples=("mem://",)),
    declared(MemorySuite, "AsksSomebody", "test_examples_open_without_network", open=asks_somebody),
    declared(MemorySuite, "NoHelp", "test_options_are_documented", options=with_option(help="")),
    declared(MemorySuite, "UpperCaseOption", "test_options_are_documented", options=with_option(name="More")),
    declared(MemorySuite, "OptionTwice", "test_options_are_documented", options=(*OPTIONS, *OPTIONS)),
    declared(
        MemorySuite, "WrongDefault", "test_option_defaults_have_their_kind", options=with_option(kind="flag", default="si")
    ),
    declared(MemorySuite, "ShownSecret", "test_secret_options_are_declared_so", options=with_option(name="auth-token")),
    declared(MemorySuite, "AnyOption", "test_unknown_option_is_refused", options=None),
    Mutant(
        "HeavyPlugin",
        HeavyPlugin,
        ("test_plugin_imports_no_sdk", "test_plugin_brings_the_backend", "test_plugin_is_found_by_its_entry_point"),
    ),
]
