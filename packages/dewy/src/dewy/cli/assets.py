"""``dewy assets``."""

from __future__ import annotations

import os
from typing import Any

import click

from dewy.cli.options import deployment_options, log_options, resolve_log_level, settings_of

__all__ = ["command"]


@click.command("assets")
@deployment_options
@log_options
def command(log_level: str | None, log_format: str, **options: Any) -> int:
    """Keep static files at the newest version.

    There is no process; point a web server at ./current in the root directory.

    \b
    dewy assets --registry file:///srv/releases/site -C /var/www/site
    """
    from dewy.service import serve
    from dewy.upgrade.handover import take_handover

    handover = take_handover(os.environ)  # first of all: nobody inherits what tells of it
    return serve(settings_of("assets", options), resolve_log_level(log_level), log_format, handover)  # type: ignore[arg-type]
