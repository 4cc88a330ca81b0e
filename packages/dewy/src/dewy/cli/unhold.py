"""``dewy unhold``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from dewy.cli.operating import as_json_option, directory_option, operator, perform, print_json

__all__ = ["command"]


@click.command("unhold")
@click.argument("version")
@directory_option
@as_json_option
def command(version: str, directory: Path, as_json: bool) -> None:
    """Lift the hold on VERSION: it is deployed if the registry offers it, at once where dewy runs."""
    done, running = perform(directory, "unhold", version, lambda operations: asdict(operations.unhold(version, operator())))
    if as_json:
        print_json({**done, "running": running})
    else:
        click.echo(f"{done['version']} is not on hold any more (it was: {done['reason']})")
