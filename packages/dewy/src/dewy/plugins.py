"""Finding plugins and the backend for a URL.

Plugins are entry points of the group ``dewy``. Each is loaded on its own: a broken one is a row with its reason and takes
nothing else with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar, cast

import pluggy

from dewy import hookspecs
from dewy.errors import PluginError, UsageError
from dewy.types import Artifact, Backend, Cache, Catalog, Context, Notifier, Registry
from dewy.urls import parse_url, scheme_of

__all__ = [
    "DEPLOY_HOOKS",
    "DISABLE_VARIABLE",
    "KNOWN_DISTRIBUTIONS",
    "Found",
    "Hook",
    "Kind",
    "Plugin",
    "Plugins",
    "load_plugins",
]

Kind = Literal["registry", "artifact", "cache", "notifier"]

DISABLE_VARIABLE = "DEWY_DISABLE_PLUGINS"
"""Names of distributions or entry points that are not loaded, separated by commas."""

KNOWN_DISTRIBUTIONS: dict[str, str] = {
    "ghr": "dewy-registry-ghr",
    "s3": "dewy-registry-s3",
    "gs": "dewy-registry-gs",
    "grpc": "dewy-registry-grpc",
    "redis": "dewy-cache-redis",
    "rediss": "dewy-cache-redis",
    "redis+unix": "dewy-cache-redis",
    "redis+sentinel": "dewy-cache-redis",
    "rediss+sentinel": "dewy-cache-redis",
    "consul": "dewy-cache-consul",
    "consul+https": "dewy-cache-consul",
    "slack": "dewy-notifier-slack",
    "mail": "dewy-notifier-mail",
    "smtp": "dewy-notifier-mail",
}
"""Which distribution to install for a scheme that no installed plugin provides."""

_HOOK_OF: dict[Kind, str] = {
    "registry": "dewy_registries",
    "artifact": "dewy_artifacts",
    "cache": "dewy_caches",
    "notifier": "dewy_notifiers",
}
DEPLOY_HOOKS = ("dewy_before_deploy", "dewy_after_deploy", "dewy_event")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One installed plugin.

    Attributes:
        name: The entry point's name.
        distribution: The distribution that brings it, and its version.
        version: Of the distribution.
        state: ``loaded``; ``broken``: see ``error``; ``disabled``: by the environment.
        error: Why it is broken, or empty.
        backends: What it brings, by kind.
        hooks: The deploy and event hooks it has.
    """

    name: str
    distribution: str
    version: str
    state: Literal["loaded", "broken", "disabled"]
    error: str = ""
    backends: Mapping[Kind, tuple[Backend[Any], ...]] = field(default_factory=dict)
    hooks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.distribution if self.distribution else self.name


@dataclass(frozen=True, slots=True)
class Found:
    """The backend that a URL leads to, and the plugin that brings it."""

    kind: Kind
    backend: Backend[Any]
    plugin: Plugin


@dataclass(frozen=True, slots=True)
class Hook:
    """One plugin's implementation of one hook, callable with all of the hook's arguments by name."""

    plugin: Plugin
    name: str
    function: Callable[..., object]
    arguments: tuple[str, ...]

    def __call__(self, **arguments: object) -> object:
        """Calls it with those of the arguments that it takes."""
        return self.function(*(arguments[name] for name in self.arguments))


class Plugins:
    """All installed plugins, and the lookup by URL scheme."""

    def __init__(self, plugins: Iterable[Plugin], hooks: Iterable[Hook] = ()) -> None:
        self.all = tuple(plugins)
        self._hooks = tuple(hooks)

    def hooks(self, name: str) -> tuple[Hook, ...]:
        """The implementations of a deploy or event hook, in pluggy's order, to be called one by one."""
        return tuple(hook for hook in self._hooks if hook.name == name)

    def find(self, kind: Kind, url: str) -> Found:
        """The backend for a URL.

        Raises:
            UsageError: It is no URL, or no plugin handles its scheme; says what to install.
            PluginError: Two plugins handle it; names both and how to disable one.
        """
        scheme = scheme_of(url)
        found = [
            Found(kind, backend, plugin)
            for plugin in self.all
            for backend in plugin.backends.get(kind, ())
            if scheme in backend.schemes
        ]
        if not found:
            raise self._missing(kind, scheme)
        if len(found) > 1:
            names = " and ".join(sorted(str(item.plugin) for item in found))
            raise PluginError(
                f"two plugins handle {kind} URLs with {scheme}://: {names}",
                f"Uninstall one, or set {DISABLE_VARIABLE}={found[-1].plugin}",
            )
        return found[0]

    def registry(self, url: str, context: Context) -> Registry | Catalog:
        """Opens the registry that a URL names. Raises as :meth:`find` does, and UsageError for a wrong URL."""
        return cast("Registry | Catalog", self._open("registry", url, context))

    def artifact(self, url: str, context: Context) -> Artifact:
        """Opens the artifact that a URL names. Raises as :meth:`registry` does."""
        return cast(Artifact, self._open("artifact", url, context))

    def cache(self, url: str, context: Context) -> Cache:
        """Opens the cache that a URL names. Raises as :meth:`registry` does."""
        return cast(Cache, self._open("cache", url, context))

    def notifier(self, url: str, context: Context) -> Notifier:
        """Opens the notifier that a URL names. Raises as :meth:`registry` does."""
        return cast(Notifier, self._open("notifier", url, context))

    def _open(self, kind: Kind, url: str, context: Context) -> object:
        found = self.find(kind, url)
        parsed = parse_url(url, found.backend.options, kind=kind)
        for secret in parsed.secrets:
            context.secret(secret)
        try:
            return found.backend.open(parsed, context)
        except ImportError as error:
            raise PluginError(
                f"{found.plugin} cannot open {parsed}: {error}",
                f"Install it again with what it needs: {_cure(found.plugin)}",
            ) from error

    def _missing(self, kind: Kind, scheme: str) -> UsageError:
        installed = sorted({s for p in self.all for backend in p.backends.get(kind, ()) for s in backend.schemes})
        message = f"no {kind} plugin handles {scheme}:// (installed: {', '.join(installed) or 'none'})"
        distribution = KNOWN_DISTRIBUTIONS.get(scheme)
        for plugin in self.all:
            if plugin.distribution == distribution and plugin.state != "loaded":
                reason = plugin.error or f"{DISABLE_VARIABLE} names it"
                return UsageError(f"{message}; {plugin} is installed but {plugin.state}: {reason}", "See: dewy plugins list")
        if distribution:
            return UsageError(message, f"Install it: pip install {distribution}")
        return UsageError(message, "See what is installed: dewy plugins list")


def load_plugins(environ: Mapping[str, str]) -> Plugins:
    """Loads every installed plugin, each in its own boundary. Imports no SDK: plugins must not."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    disabled = {name.strip() for name in environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()}
    points = sorted(entry_points(group=hookspecs.PROJECT), key=lambda point: (_distribution(point), point.name))
    plugins = [_load(manager, point, disabled) for point in dict.fromkeys(points)]
    by_key = {_key(plugin.distribution, plugin.name): plugin for plugin in plugins if plugin.state == "loaded"}
    return Plugins(plugins, _deploy_hooks(manager, by_key))


def _load(manager: pluggy.PluginManager, point: EntryPoint, disabled: set[str]) -> Plugin:
    distribution = _distribution(point)
    version = point.dist.version if point.dist else ""
    if {distribution, point.name} & disabled:
        return Plugin(point.name, distribution, version, "disabled")
    key = _key(distribution, point.name)
    try:
        manager.register(point.load(), key)
        manager.check_pending()
        backends = {kind: _backends(manager, key, kind) for kind in _HOOK_OF}
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        # whatever a stranger's module does on import, SystemExit included, is its own fault and nobody else's
        manager.unregister(name=key) if manager.has_plugin(key) else None
        return Plugin(point.name, distribution, version, "broken", _reason(error))
    hooks = tuple(name for name in DEPLOY_HOOKS if _implementations(manager, name, key))
    return Plugin(point.name, distribution, version, "loaded", "", {k: b for k, b in backends.items() if b}, hooks)


def _backends(manager: pluggy.PluginManager, key: str, kind: Kind) -> tuple[Backend[Any], ...]:
    name = _HOOK_OF[kind]
    provided = [cast(Iterable[object], impl.function()) for impl in _implementations(manager, name, key)]
    backends = [backend for backends in provided for backend in backends]
    for backend in backends:
        if not isinstance(backend, Backend):
            raise TypeError(f"{name} returned a {type(backend).__name__} where a dewy.types.Backend is expected")
        if not backend.schemes or any(scheme != scheme.lower() for scheme in backend.schemes):
            raise ValueError(f"{name} returned a backend whose schemes are {backend.schemes!r}: lower case, at least one")
    return cast(tuple[Backend[Any], ...], tuple(backends))


def _implementations(manager: pluggy.PluginManager, name: str, key: str) -> list[pluggy.HookImpl]:
    return [impl for impl in getattr(manager.hook, name).get_hookimpls() if impl.plugin_name == key]


def _deploy_hooks(manager: pluggy.PluginManager, plugins: Mapping[str, Plugin]) -> list[Hook]:
    return [
        Hook(plugins[impl.plugin_name], name, impl.function, tuple(impl.argnames))
        for name in DEPLOY_HOOKS
        for impl in reversed(getattr(manager.hook, name).get_hookimpls())
    ]


def _key(distribution: str, name: str) -> str:
    return f"{distribution}:{name}"


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else ""


def _cure(plugin: Plugin) -> str:
    return f"pip install --force-reinstall {plugin}"


def _reason(error: BaseException) -> str:
    """One line that says what went wrong and, for an import, where."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
