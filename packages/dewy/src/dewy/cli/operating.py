"""What the commands of operators share: which root, who asks, and how to reach a dewy that runs or one that does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dewy.control.protocol import Verb
    from dewy.operators.operations import Operations

__all__ = ["NOT_RUNNING", "as_json_option", "ask", "directory_option", "operator", "perform", "print_json"]

F = TypeVar("F", bound=Callable[..., Any])

NOT_RUNNING = 3
"""The status of a command that needs a running dewy where there is none."""

_BETWEEN = 5.0
"""Seconds in which a dewy that has the root may not answer yet, or not any more."""


def directory_option(function: F) -> F:
    """``-C``: the application's root, as for the dewy that runs there."""
    return click.option(
        "-C", "--directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(),
        envvar="DEWY_DIRECTORY", help="The application's root directory.  [default: the working directory]",
        callback=lambda _context, _parameter, path: path.resolve(),
    )(function)  # fmt: skip


def as_json_option(function: F) -> F:
    """``--json``: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="For programs.")(function)


def operator() -> str:
    """Who asks: the person behind sudo, if there is one."""
    import getpass

    told = os.environ.get("SUDO_USER")
    try:
        return told or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def ask(root: Path, verb: Verb, version: str = "") -> Mapping[str, Any]:
    """Asks the dewy that runs in a root. Raises NotRunning when none does, and DewyError when it cannot."""
    from dewy.control.client import ask as ask_server
    from dewy.control.protocol import Request

    try:
        return ask_server(root, Request(verb, version, operator()), _Waiting())
    except KeyboardInterrupt:
        click.echo("dewy: not waited for any more; dewy goes on with what was asked for", err=True)
        raise


def perform(
    root: Path, verb: Verb, version: str, offline: Callable[[Operations], Mapping[str, Any]]
) -> tuple[Mapping[str, Any], bool]:
    """Has the dewy that runs in a root do something; where none runs, does it here, under its lock.

    Returns what was done, and whether a dewy runs. Raises DewyError when it cannot be done.
    """
    from dewy.control.client import NotRunning
    from dewy.errors import DewyError
    from dewy.lock import RootTaken
    from dewy.operators.offline import operations_of

    deadline = time.monotonic() + _BETWEEN
    while True:
        try:
            return ask(root, verb, version), True
        except NotRunning:
            try:
                with operations_of(root, os.environ) as operations:
                    return offline(operations), False
            except RootTaken as taken:
                if time.monotonic() > deadline:
                    raise DewyError(
                        f"{taken.message}, but takes no commands", "Its log says why; it may be starting or stopping"
                    ) from taken
        time.sleep(0.1)


def print_json(data: Mapping[str, Any]) -> None:
    """Prints an object for programs."""
    import json

    click.echo(json.dumps(data, indent=2))


class _Waiting:
    """Says on standard error what dewy is busy with, whenever that changes."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str) -> None:
        if what != self._last:
            click.echo(f"waiting; dewy is {what}", err=True)
            self._last = what
