"""The ``dewy`` command. Each subcommand is a module of its own that is imported when it is used."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from dewy.errors import DewyError, UsageError

__all__ = ["cli", "main"]

_COMMANDS = (
    "server", "assets", "check",
    "status", "history", "rollback", "hold", "unhold", "restart", "upgrade",
    "audit", "plugins", "demo",
)  # fmt: skip


class _LazyGroup(click.Group):
    """Finds a subcommand ``NAME`` as ``dewy.cli.NAME:command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"dewy.cli.{cmd_name}").command
        return command


def _print_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from dewy import __version__

        click.echo(f"dewy {__version__}")
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-v", "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Declarative, pull-based deployment for applications on hosts without Kubernetes.

    One dewy process per application: it polls a registry for the newest version, pulls it, switches to it without dropping
    a connection, and tells people.
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs the command and ends the process: status 0, 1 for a failure, 2 for wrong use, each told in one line."""
    _open_standard_streams()
    sys.exit(_run(arguments))


def _open_standard_streams() -> None:
    """A standard stream that was closed by whoever started dewy must not become the number of a file or a socket."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _run(arguments: list[str] | None) -> int:
    try:
        status: Any = cli.main(arguments, prog_name="dewy", standalone_mode=False)
    except BrokenPipeError:
        # whoever read our output has seen enough; Python must not complain about it at exit
        sys.stdout = None
        return 141
    except (click.ClickException, click.Abort, DewyError) as error:
        return _explain(error)
    return status if isinstance(status, int) else 0


def _explain(error: click.ClickException | click.Abort | DewyError) -> int:
    """Says in one line on standard error what went wrong; the status to end with."""
    if isinstance(error, click.Abort):
        return 130
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return error.exit_code
    if isinstance(error, click.ClickException):
        message, status = error.format_message(), error.exit_code
    else:
        message, status = str(error), 2 if isinstance(error, UsageError) else 1
    click.echo(f"dewy: {' '.join(message.split())}", err=True)
    return status
