"""``dewy restart``."""

from __future__ import annotations

from pathlib import Path

import click

from dewy.cli.operating import NOT_RUNNING, as_json_option, ask, directory_option, print_json

__all__ = ["command"]


@click.command("restart")
@directory_option
@as_json_option
def command(directory: Path, as_json: bool) -> int:
    """Restart the application at the version that runs, without a gap.

    Ends when the new process is ready. Ends with status 3 where no dewy runs.
    """
    from dewy.control.client import NotRunning

    try:
        done = ask(directory, "restart")
    except NotRunning as error:
        click.echo(f"dewy: {error}", err=True)
        return NOT_RUNNING
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done['version']} was restarted (generation {done['generation']})")
    return 0
