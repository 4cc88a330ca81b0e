"""``dewy server``."""

from __future__ import annotations

import os
from typing import Any

import click

from dewy.cli.options import deployment_options, log_options, resolve_log_level, server_options, settings_of

__all__ = ["command"]


@click.command("server", context_settings={"allow_interspersed_args": False})
@deployment_options
@log_options
@server_options
def command(log_level: str | None, log_format: str, **options: Any) -> int:
    """Supervise COMMAND and keep it at the newest version.

    COMMAND stands after -- and runs in the root directory; ./current leads to the newest release there. Without --port it
    is a worker without sockets.

    \b
    dewy server --registry s3://us-east-1/releases/myapp -p 8000 -- ./current/myapp
    """
    from dewy.service import serve
    from dewy.upgrade.handover import take_handover

    handover = take_handover(os.environ)  # first of all: nobody inherits what tells of it
    return serve(settings_of("server", options), resolve_log_level(log_level), log_format, handover)  # type: ignore[arg-type]
