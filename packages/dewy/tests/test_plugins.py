"""Finding plugins, and the backend for a URL."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dewy.errors import PluginError, UsageError
from dewy.plugins import KNOWN_DISTRIBUTIONS, Plugins, load_plugins
from dewy.testing import TestContext, write_distribution

PLUGIN = """
    from dewy.hookspecs import hookimpl
    from dewy.types import Backend

    @hookimpl
    def dewy_registries():
        return [Backend(schemes=("{scheme}",), summary="a test", examples=("{scheme}://x",), open=lambda url, context: url)]
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution whose one module has this source."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def install(name: str, source: str, point: str = "main") -> None:
        module = name.replace("-", "_")
        made.append(module)
        write_distribution(tmp_path, name, "1.2.3", entry_points={point: module}, modules={f"{module}.py": source})

    yield install  # type: ignore[misc]
    for module in made:
        sys.modules.pop(module, None)


def row(plugins: Plugins, distribution: str) -> object:
    return next(plugin for plugin in plugins.all if plugin.distribution == distribution)


def test_the_core_brings_its_own_backends_through_the_same_hooks() -> None:
    builtin = next(plugin for plugin in load_plugins({}).all if plugin.distribution == "dewy")
    schemes = {
        kind: sorted(s for backend in backends for s in backend.schemes) for kind, backends in builtin.backends.items()
    }
    assert schemes == {"registry": ["file"], "artifact": ["file", "http", "https"], "cache": ["file", "memory"]}


def test_an_installed_plugin_is_found_by_its_scheme(install: Install, tmp_path: Path) -> None:
    install("dewy-registry-shelf", PLUGIN.format(scheme="shelf"))
    plugins = load_plugins({})
    assert str(plugins.registry("shelf://box", TestContext(tmp_path))) == "shelf://box"
    plugin = plugins.find("registry", "SHELF://box").plugin
    assert (str(plugin), plugin.version, plugin.state) == ("dewy-registry-shelf", "1.2.3", "loaded")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_sdk", "ModuleNotFoundError: No module named 'no_such_sdk'"),
        ("1/0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError"),
        (
            "from dewy import hookimpl\n@hookimpl\ndef dewy_registrys(): pass",
            "PluginValidationError: unknown hook 'dewy_registrys' in plugin",
        ),
        (
            "from dewy import hookimpl\n@hookimpl\ndef dewy_before_deploy(deploymnt): pass",
            "PluginValidationError: Plugin 'dewy-registry-bad:main' for hook 'dewy_before_deploy'",
        ),
        (
            "from dewy import hookimpl\n@hookimpl\ndef dewy_registries(): return [1]",
            "TypeError: dewy_registries returned a int",
        ),
        ("from dewy import hookimpl\n@hookimpl\ndef dewy_caches(): 1/0", "ZeroDivisionError"),
        (PLUGIN.format(scheme="Shelf"), "ValueError: dewy_registries returned a backend whose schemes are ('Shelf',)"),
    ],
)
def test_a_broken_plugin_is_a_row_with_its_reason_and_breaks_nothing_else(
    install: Install, source: str, reason: str
) -> None:
    install("dewy-registry-bad", source)
    install("dewy-registry-shelf", PLUGIN.format(scheme="shelf"))
    plugins = load_plugins({})
    bad = next(plugin for plugin in plugins.all if plugin.distribution == "dewy-registry-bad")
    assert bad.state == "broken"
    assert bad.error.startswith(reason)
    assert "\n" not in bad.error
    assert plugins.find("registry", "shelf://box").plugin.state == "loaded"


def test_a_missing_backend_names_what_to_install() -> None:
    builtin = Plugins(plugin for plugin in load_plugins({}).all if plugin.distribution == "dewy")
    with pytest.raises(UsageError) as caught:
        builtin.find("registry", "ghr://owner/repo")
    assert str(caught.value).startswith("no registry plugin handles ghr:// (installed: ")
    assert str(caught.value).endswith("Install it: pip install dewy-registry-ghr")


def test_an_unknown_scheme_says_what_is_installed() -> None:
    with pytest.raises(
        UsageError, match=r"no cache plugin handles shelf:// \(installed: file, memory\)\. See .* plugins list"
    ):
        load_plugins({}).find("cache", "shelf://x")


def test_a_broken_backend_is_named_where_it_is_missed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KNOWN_DISTRIBUTIONS, "shelf", "dewy-registry-shelf")
    install("dewy-registry-shelf", "import no_such_sdk")
    with pytest.raises(UsageError, match="dewy-registry-shelf is installed but broken: ModuleNotFoundError"):
        load_plugins({}).find("registry", "shelf://box")


def test_two_plugins_for_one_scheme_are_both_named_and_one_can_be_disabled(install: Install) -> None:
    install("dewy-registry-a", PLUGIN.format(scheme="shelf"))
    install("dewy-registry-b", PLUGIN.format(scheme="shelf"))
    with pytest.raises(PluginError) as caught:
        load_plugins({}).find("registry", "shelf://x")
    assert "two plugins handle registry URLs with shelf://: dewy-registry-a and dewy-registry-b" in str(caught.value)
    assert "DEWY_DISABLE_PLUGINS=dewy-registry-b" in str(caught.value)
    plugins = load_plugins({"DEWY_DISABLE_PLUGINS": "other, dewy-registry-b"})
    assert str(plugins.find("registry", "shelf://x").plugin) == "dewy-registry-a"


def test_deploy_hooks_are_found_and_take_the_arguments_they_want(install: Install) -> None:
    install(
        "dewy-hooks",
        """
        from dewy import hookimpl
        @hookimpl
        def dewy_after_deploy(result):
            return f"after {result}"
        """,
    )
    (hook,) = load_plugins({}).hooks("dewy_after_deploy")
    assert hook(deployment="d", result="r") == "after r"
    assert hook.plugin.hooks == ("dewy_after_deploy",)


def test_an_sdk_that_is_missing_is_told_when_the_url_is_opened(install: Install, tmp_path: Path) -> None:
    install(
        "dewy-registry-shelf", PLUGIN.format(scheme="shelf").replace("context: url", "context: __import__('no_such_sdk')")
    )
    with pytest.raises(PluginError, match="dewy-registry-shelf cannot open shelf://x: No module named 'no_such_sdk'"):
        load_plugins({}).registry("shelf://x", TestContext(tmp_path))


def test_secrets_of_a_url_are_told_to_the_context(tmp_path: Path) -> None:
    context = TestContext(tmp_path)
    with pytest.raises(UsageError) as caught:
        load_plugins({}).registry("file://user:canary@host/path", context)
    assert "canary" not in str(caught.value)
    assert "canary" in context.secrets
