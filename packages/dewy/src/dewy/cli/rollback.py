"""``dewy rollback``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dewy.cli.operating import as_json_option, directory_option, operator, perform, print_json

if TYPE_CHECKING:
    from dewy.operators.operations import Operations

__all__ = ["command"]


@click.command("rollback")
@click.argument("version", required=False)
@directory_option
@as_json_option
def command(version: str | None, directory: Path, as_json: bool) -> None:
    """Go back at once to the version before, or to VERSION, among those kept on disk.

    The registry is not asked. The version that is left goes on hold, so that it is not deployed again; another one is, when
    the registry offers it. Where no dewy runs, the next one starts with the version that was gone back to.
    """

    def offline(operations: Operations) -> dict[str, Any]:
        done = operations.roll_back(version, operator())
        return {"version": done.release.version, "previous_version": done.left.version, "seconds": done.seconds}

    done, running = perform(directory, "rollback", version or "", offline)
    if as_json:
        print_json({**done, "running": running})
        return
    runs = "runs again" if running else "is current again; no dewy runs here, the next one starts with it"
    click.echo(f"{done['version']} {runs} ({done['seconds']:g}s).")
    left = done["previous_version"]
    click.echo(f"{left} is on hold until: dewy unhold {left}. Another version is deployed when the registry offers one.")
