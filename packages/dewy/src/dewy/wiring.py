"""Putting the parts together: from settings to a deployer that is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dewy import events
from dewy.calver import calendar_parser
from dewy.catalog import CatalogRegistry
from dewy.choose import Rules
from dewy.constraints import parse_constraint
from dewy.context import PluginContext
from dewy.deployer import Deployer, RegistryClient
from dewy.deployment import Application, Pipeline
from dewy.errors import UsageError
from dewy.fetch import Fetcher, Progress
from dewy.guard import Guard
from dewy.host import host_name
from dewy.keeping import Keeping, LocalKeeping, SharedKeeping
from dewy.notify import Facts, NotifierConsumer, is_told
from dewy.plugins import Hook, Plugins, load_plugins
from dewy.redaction import Redactor
from dewy.runtime import Runtime
from dewy.settings import Settings, cache_directory
from dewy.sharing.fleet import Fleet, answers_ttl
from dewy.sharing.health import CacheHealth
from dewy.sharing.identity import bytes_identity
from dewy.state import State
from dewy.statefile import StateFile
from dewy.stream import EventStream
from dewy.types import AtomicCache, Cache, Event, Notifier, Registry, Release
from dewy.urls import BackendURL, parse_url
from dewy.versions import parse_version
from dewy.waker import Waker

__all__ = ["Told", "Wiring"]


@dataclass(frozen=True, slots=True)
class Told:
    """One who is told.

    Attributes:
        name: The notifier's URL without its secrets.
        notifier: Who delivers.
        quiet: Whether only what matters is told.
    """

    name: str
    notifier: Notifier
    quiet: bool


@dataclass(slots=True)
class Wiring:
    """The parts of one dewy. Building it touches neither the network nor the disk.

    Attributes:
        runtime: What the parts share.
        registry_url: The registry's URL without its secrets.
        cache_url: The cache's, likewise.
        registry: Where versions are asked for.
        cache: Where artifacts are kept.
        health: Whether it works.
        notifiers: Who is told.
    """

    runtime: Runtime
    registry_url: str
    cache_url: str
    registry: RegistryClient
    cache: Cache
    health: CacheHealth
    notifiers: tuple[Told, ...]

    @classmethod
    def of(cls, settings: Settings, redactor: Redactor, emit: events.Emit) -> Wiring:
        """Finds and opens every backend that the settings name.

        Raises:
            UsageError: A URL is wrong, or no plugin handles its scheme.
            PluginError: A plugin is at fault.
        """
        plugins = load_plugins(settings.environ)
        waker = Waker()
        caches = cache_directory(settings.root, settings.environ)
        context = PluginContext(settings.environ, caches, redactor, waker.pause)
        runtime = Runtime(settings, plugins, context, waker, Guard(waker), emit)
        answers_ttl(runtime)  # a wrong one is said at once
        options = plugins.find("registry", settings.registry).backend.options
        notifiers = tuple(_told(plugins, url, context) for url in settings.notifiers)
        return cls(
            runtime=runtime,
            registry_url=str(parse_url(settings.registry, options, kind="registry")),
            cache_url=str(parse_url(settings.cache, plugins.find("cache", settings.cache).backend.options, kind="cache")),
            registry=RegistryClient(runtime, lambda: _open_registry(runtime)),
            cache=plugins.cache(settings.cache, context),
            health=CacheHealth(emit, waker.monotonic),
            notifiers=notifiers,
        )

    def subscribe(self, stream: EventStream) -> None:
        """Gives the event stream to the notifiers and to plugins that observe it; says which plugins are broken."""
        facts = Facts(application=self.runtime.settings.root.name, host=host_name(), registry=self.registry_url)
        for told in self.notifiers:
            consumer = NotifierConsumer(told.notifier, told.name, facts, stream.emit, quiet=told.quiet)
            stream.subscribe(told.name, consumer, is_told)
        for hook in self.runtime.plugins.hooks("dewy_event"):
            stream.subscribe(str(hook.plugin), _observer(hook, stream.emit))
        for plugin in self.runtime.plugins.all:
            if plugin.state == "broken":
                stream.emit(events.PLUGIN_BROKEN, plugin=plugin.name, distribution=plugin.distribution, error=plugin.error)

    def load_state(self) -> State:
        """What this host knows. Raises DewyError when its file cannot be read."""
        return StateFile(self.runtime.settings.state_directory, self.runtime.emit).load()

    def deployer(self, application: Application | None, state: State, progress: Progress) -> Deployer:
        """The deployer, on a root that is made ready for it. Raises DewyError when that cannot be done."""
        fleet, keeping = Fleet.of(self.runtime, self.cache, self.health), self._keeping()
        fetcher = Fetcher(
            self.runtime,
            keeping=keeping,
            health=self.health,
            downloads=fleet.downloads if fleet else None,
            progress=progress,
        )
        registry = self.registry
        if fleet:
            registry = RegistryClient(self.runtime, lambda: fleet.registry(_open_registry(self.runtime), fetcher.resolved))
        pipeline = Pipeline(
            self.runtime, fetcher=fetcher, application=application, report=registry.report, state=state
        )  # fmt: skip
        pipeline.prepare()
        if fleet and isinstance(keeping, SharedKeeping):
            fleet.join(keeping)
        return Deployer(self.runtime, registry, pipeline)

    def _keeping(self) -> Keeping:
        """How the cache keeps artifacts: one of many hosts by where they come from, this host's own by their names."""
        return (SharedKeeping if isinstance(self.cache, AtomicCache) else LocalKeeping)(self.cache, self._identity)

    def _identity(self, release: Release) -> str:
        settings = self.runtime.settings
        return bytes_identity(release, self.runtime.plugins.find("artifact", release.url), settings.environ, host_name())


def _told(plugins: Plugins, url: str, context: PluginContext) -> Told:
    options = plugins.find("notifier", url).backend.options
    parsed = parse_url(url, options, kind="notifier")
    quiet = any(option.name == "quiet" for option in options or ()) and parsed.flag("quiet")
    return Told(str(parsed), plugins.notifier(url, context), quiet=quiet)


def _open_registry(runtime: Runtime) -> Registry:
    """The registry; a catalog, which only lists, becomes one by the core's choosing."""
    plugins, url = runtime.plugins, runtime.settings.registry
    opened = plugins.registry(url, runtime.context)
    found = plugins.find("registry", url)
    parsed = parse_url(url, found.backend.options, kind="registry")
    if isinstance(opened, Registry):
        _refuse_rules(runtime.settings, str(parsed))
        return opened
    return CatalogRegistry(opened, _rules(runtime.settings, parsed), lambda: datetime.now(UTC))


def _rules(settings: Settings, url: BackendURL) -> Rules:
    """What the user asks of a release. Raises UsageError for a range or a form that cannot be read."""
    return Rules(
        pre_release=url.flag("pre-release"),
        artifact=url.text("artifact"),
        constraint=parse_constraint(settings.constraint) if settings.constraint else None,
        slot=settings.slot or None,
        parse=calendar_parser(settings.calver) if settings.calver else parse_version,
    )


def _refuse_rules(settings: Settings, url: str) -> None:
    for name in ("constraint", "slot", "calver"):
        if getattr(settings, name):
            raise UsageError(f"--{name} does not go with {url}", "That registry decides by itself which version is current")


def _observer(hook: Hook, emit: events.Emit) -> Callable[[Event], None]:
    def observe(event: Event) -> None:
        try:
            hook(event=event)
        except Exception as error:
            # the failure of an observer is an event too: it must not be given that one, or it never ends
            if event.name != events.PLUGIN_FAILED.name:
                emit(events.PLUGIN_FAILED, plugin=str(hook.plugin), hook=hook.name, error=f"{type(error).__name__}: {error}")

    return observe
