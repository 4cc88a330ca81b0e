"""The functional core touches nothing: its modules, and all of dewy that they import, reach no world to touch.

Held by the source: what a module imports, and the few things that need no import (the clock of ``datetime``, ``open``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(str(find_spec("dewy").origin)).parent  # type: ignore[union-attr]

NAMED = {
    *("types", "hookspecs", "errors", "urls", "durations", "events", "versions", "platforms", "platform_names"),
    *("platform_words", "choose", "audit", "decide", "state", "checksums", "constraints", "calver", "sizes"),
}
"""The modules that are pure by design. Whatever else says "Pure." in its first paragraph is held to it as well."""

HARMLESS = {
    *(
        "__future__",
        "collections",
        "collections.abc",
        "dataclasses",
        "datetime",
        "enum",
        "errno",
        "functools",
        "itertools",
        "math",
    ),
    *("operator", "re", "string", "types", "typing", "urllib.parse", "ipaddress", "json", "base64", "posixpath"),
    *("semver", "pluggy", "hashlib", "zlib", "binascii", "email.utils"),
}
"""What a pure module may import; pathlib as well, for annotations only."""

OF_THE_WORLD = {"open", "input", "print", "exec", "eval", "compile", "__import__", "breakpoint"}
CLOCKS = {"now", "today", "utcnow"}


def source(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


def module_of(path: Path) -> str:
    """A module's name inside dewy: ``types``, ``keyvalue.records``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def calls_itself_pure(path: Path) -> bool:
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\nArgs:")[0]
    return (
        any(sentence.strip() in ("Pure", "Pure.") for sentence in first.replace("\n", " ").split(". ")) or "Pure:" in first
    )


PURE = sorted(NAMED | {module_of(path) for path in PACKAGE.rglob("*.py") if calls_itself_pure(path)})


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported when the code runs, ``if TYPE_CHECKING`` aside."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                assert not level, "write the package's name out"
                yield from ((f"dewy.{name.name}" for name in names) if module == "dewy" else [str(module)])
            case _:
                yield from imports(node)


def reached(module: str) -> set[str]:
    """A module and all of dewy that it imports, directly or not."""
    found: set[str] = set()
    ahead = [module]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [imported.removeprefix("dewy.") for imported in imports(source(name)) if imported.startswith("dewy.")]
    return found


@pytest.mark.parametrize("module", PURE)
def test_it_imports_nothing_that_touches_the_world(module: str) -> None:
    for name in reached(module):
        foreign = {imported for imported in imports(source(name)) if not imported.startswith("dewy.")}
        assert foreign - HARMLESS <= {"pathlib"}, (
            f"dewy.{module} reaches dewy.{name}, which imports {sorted(foreign - HARMLESS)}"
        )


@pytest.mark.parametrize("module", PURE)
def test_it_calls_no_clock_no_file_and_no_path(module: str) -> None:
    for node in ast.walk(source(module)):
        match node:
            case ast.Call(func=ast.Name(id=called)):
                assert called not in OF_THE_WORLD | {"Path"}, f"line {node.lineno} calls {called}()"
            case ast.Attribute(attr=attribute, value=ast.Name(id="datetime" | "date")):
                assert attribute not in CLOCKS, f"line {node.lineno} reads the clock"


def test_the_modules_that_must_be_pure_are_there() -> None:
    assert not NAMED - {module_of(path) for path in PACKAGE.rglob("*.py")}


def test_an_impure_module_would_be_caught() -> None:
    """The test's own eyes: what it looks for is found where it is."""
    assert "os" in set(imports(source("host")))
    assert "dewy.platforms" in set(imports(source("choose")))
    assert "host" not in PURE
    assert {"types", "errors", "platform_words"} <= reached("choose")
