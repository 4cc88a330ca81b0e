"""``dewy upgrade``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dewy.cli.operating import NOT_RUNNING, as_json_option, ask, directory_option, print_json

__all__ = ["command"]

_TAKES_OVER_WITHIN = 60.0


@click.command("upgrade")
@directory_option
@as_json_option
def command(directory: Path, as_json: bool) -> int:
    """Have the running dewy replaced by the one that is installed now, without a gap.

    For after pip install --upgrade: the process stays the same, the application and its sockets are not touched. If the new
    dewy cannot take over, the old one goes on. Ends with status 3 where no dewy runs.
    """
    from dewy.control.client import NotRunning
    from dewy.errors import DewyError

    try:
        before = ask(directory, "status")["dewy"]
        ask(directory, "upgrade")
    except NotRunning as error:
        click.echo(f"dewy: {error}", err=True)
        return NOT_RUNNING
    deadline = time.monotonic() + _TAKES_OVER_WITHIN
    while (now := _dewy(directory)) is None or now["since"] == before["since"]:
        if time.monotonic() > deadline:
            raise DewyError("the new dewy has not taken over", "dewy history and the log say why")
        time.sleep(0.1)
    if as_json:
        print_json({"version": now["version"], "previous_version": before["version"], "pid": now["pid"]})
    else:
        click.echo(f"dewy {now['version']} has taken over from {before['version']} (process {now['pid']})")
    return 0


def _dewy(directory: Path) -> Mapping[str, Any] | None:
    """What runs now; None while nobody answers."""
    from dewy.errors import DewyError

    try:
        found: Mapping[str, Any] = ask(directory, "status")["dewy"]
    except DewyError:
        return None
    return found
