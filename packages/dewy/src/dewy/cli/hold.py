"""``dewy hold``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from dewy.cli.operating import as_json_option, directory_option, operator, perform, print_json

__all__ = ["command"]


@click.command("hold")
@click.argument("version")
@directory_option
@as_json_option
def command(version: str, directory: Path, as_json: bool) -> None:
    """Do not deploy VERSION here, whatever its bytes, until dewy unhold.

    What runs goes on running, also if it is that version. A newer version is deployed when it appears.
    """
    done, running = perform(directory, "hold", version, lambda operations: asdict(operations.hold(version, operator())))
    if as_json:
        print_json({**done, "running": running})
    else:
        click.echo(f"{done['version']} is on hold and will not be deployed here, until: dewy unhold {done['version']}")
