"""``dewy check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dewy.cli.options import deployment_options, server_options, settings_of

if TYPE_CHECKING:
    from dewy.settings import Settings
    from dewy.types import Release
    from dewy.wiring import Wiring

__all__ = ["command"]


@click.command("check", context_settings={"allow_interspersed_args": False})
@deployment_options
@server_options
def command(**options: Any) -> int:
    """Show what would be deployed and why, and change nothing.

    Takes the options of dewy server and dewy assets; with a COMMAND it checks for a server, without one for assets.
    Resolves plugins and credentials, asks the registry, and ends with status 0 if all of it works.
    """
    settings = settings_of("server" if options["command"] else "assets", options)
    return _check(settings)


def _check(settings: Settings) -> int:
    from dewy import events
    from dewy.decide import Deploy, decide
    from dewy.errors import ReleasePending
    from dewy.host import detect_platform
    from dewy.redaction import Redactor
    from dewy.releases import ReleaseDirectories
    from dewy.statefile import StateFile
    from dewy.supervisor import parse_ports
    from dewy.types import FieldValue
    from dewy.wiring import Wiring

    def warn(kind: events.EventKind, /, **fields: FieldValue) -> None:
        click.echo(f"warning: {kind.text.format_map(fields)}", err=True)

    redactor = Redactor(settings.environ)
    ports = parse_ports(settings.ports)
    wiring = Wiring.of(settings, redactor, warn)
    _row("root", str(settings.root))
    _row("registry", f"{wiring.registry_url} ({wiring.runtime.plugins.find('registry', settings.registry).plugin})")
    _row("cache", f"{wiring.cache_url} ({wiring.runtime.plugins.find('cache', settings.cache).plugin})")
    if problem := _cache_problem(wiring):
        warn(events.CACHE_FAILED, error=problem)
    for told in wiring.notifiers:
        _row("notifier", told.name)
    if ports:
        _row("ports", ", ".join(str(port) for port in ports))
    if settings.command == "server":
        _row("health", _health(settings))
    _row("platform", str(detect_platform()))
    state = StateFile(settings.state_directory, warn).load(put_aside=False)
    current = ReleaseDirectories(settings.root).current()
    _row("running", f"{state.current.version} ({current})" if state.current and current else "nothing yet")
    try:
        release = wiring.registry.current()
    except ReleasePending as pending:
        _row("decision", f"wait: {redactor(str(pending))}")
        return 0
    _row("version", release.version)
    _row("artifact", _describe(release))
    wiring.runtime.plugins.artifact(release.url, wiring.runtime.context)
    decision = decide(release, state)
    _row("decision", f"{'deploy' if isinstance(decision, Deploy) else 'leave'} {release.version}: {decision.reason}")
    return 0


def _health(settings: Settings) -> str:
    """How a version is proven."""
    from dewy.durations import format_duration

    checks = [f"GET {settings.health_path}"] if settings.health_path else []
    checks += [f"command {settings.health_command!r}"] if settings.health_command else []
    first = "preflight, then " if checks and settings.preflight else ""
    watched = f"{first}watched for {format_duration(settings.bake_time)}"
    return f"{' and '.join(checks)}: {watched}" if checks else f"no check; {watched}"


def _cache_problem(wiring: Wiring) -> str:
    """Why the cache does not work; empty if it does, as far as reading tells."""
    from dewy.errors import DewyError

    try:
        value = wiring.cache.read("dewy check")
    except (DewyError, OSError) as error:
        return str(error)
    if value is not None:
        value.close()
    return ""


def _describe(release: Release) -> str:
    from dewy.sizes import format_size

    facts = [format_size(release.size)] if release.size is not None else []
    facts += release.digests
    return f"{release.artifact} ({', '.join(facts)})" if facts else release.artifact


def _row(name: str, value: str) -> None:
    click.echo(f"{click.style(f'{name:9}', bold=True)} {value}")
