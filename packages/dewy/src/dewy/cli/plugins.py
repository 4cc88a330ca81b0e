"""``dewy plugins``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dewy.plugins import Plugin
    from dewy.types import Option

__all__ = ["command"]

_COLOURS = {"loaded": "green", "broken": "red", "disabled": "yellow"}


@click.group("plugins")
def command() -> None:
    """See which plugins are installed."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list of objects.")
def list_plugins(as_json: bool) -> None:
    """List every installed plugin: what it provides, and whether it loads."""
    from dewy.plugins import load_plugins

    plugins = load_plugins(os.environ).all
    if as_json:
        import json

        click.echo(json.dumps([_as_json(plugin) for plugin in plugins], indent=2))
        return
    for plugin in plugins:
        _print(plugin)


def _print(plugin: Plugin) -> None:
    state = click.style(plugin.state, fg=_COLOURS[plugin.state])
    click.echo(f"{click.style(plugin.distribution, bold=True)} {plugin.version}  {state}  (entry point {plugin.name})")
    if plugin.error:
        click.echo(f"  {plugin.error}")
    for kind, backends in plugin.backends.items():
        for backend in backends:
            click.echo(f"  {kind:9} {', '.join(f'{scheme}://' for scheme in backend.schemes):18} {backend.summary}")
    if plugin.hooks:
        click.echo(f"  {'hooks':9} {', '.join(plugin.hooks)}")


def _as_json(plugin: Plugin) -> dict[str, Any]:
    return {
        "distribution": plugin.distribution,
        "version": plugin.version,
        "entry_point": plugin.name,
        "state": plugin.state,
        "error": plugin.error or None,
        "provides": [
            {
                "kind": kind,
                "schemes": list(backend.schemes),
                "summary": backend.summary,
                "examples": list(backend.examples),
                "options": [_option_as_json(option) for option in backend.options or ()],
            }
            for kind, backends in plugin.backends.items()
            for backend in backends
        ],
        "hooks": list(plugin.hooks),
    }


def _option_as_json(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "kind": option.kind,
        "default": option.default,
        "help": option.help,
        "secret": option.secret,
    }
