"""``dewy audit``."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dewy.cli.since import SINCE

if TYPE_CHECKING:
    from dewy.fleet import Shipped
    from dewy.types import Catalog

__all__ = ["command"]


@click.command("audit")
@click.option("--registry", metavar="URL", required=True, envvar="DEWY_REGISTRY", help="Where versions are.")
@click.option("--host", metavar="NAME", help="Only this host.")
@click.option("--version", metavar="TAG", help="Only this version.")
@click.option("--since", type=SINCE, help="Only from this time on: 2026-03-15, 2026-03-15T14:30:00Z or 7d.")
@click.option("--json", "as_json", is_flag=True, help="For programs: an object a line.")
def command(registry: str, host: str | None, version: str | None, since: datetime | None, as_json: bool) -> None:
    """Show who shipped what, where and when.

    Reads the audit entries of the whole fleet from the registry, those of the original tool included. Times are UTC.
    """
    from dewy.fleet import Query, shipped

    for found in shipped(_catalog(registry), Query(host=host, version=version, since=since)):
        _print(found, as_json=as_json)


def _print(found: Shipped, *, as_json: bool) -> None:
    entry = found.entry
    if as_json:
        import json

        facts = {"version": found.version, "host": entry.host, "command": entry.command, "at": entry.at.isoformat()}
        click.echo(json.dumps(facts))
    else:
        click.echo(f"{entry.at:%Y-%m-%d %H:%M:%S}  {found.version:16} {entry.host:24} {entry.command}")


def _catalog(url: str) -> Catalog:
    """The registry, which must be one that lists. Raises UsageError."""
    from dewy.context import PluginContext
    from dewy.errors import UsageError
    from dewy.plugins import load_plugins
    from dewy.redaction import Redactor
    from dewy.settings import cache_directory
    from dewy.types import Catalog
    from dewy.urls import redact_url

    context = PluginContext(os.environ, cache_directory(Path(), os.environ), Redactor(os.environ))
    registry = load_plugins(os.environ).registry(url, context)
    if not isinstance(registry, Catalog):
        raise UsageError(f"{redact_url(url)} keeps no audit entries that can be read", "Ask the server behind it")
    return registry
