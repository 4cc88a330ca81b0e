"""``dewy demo``."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("demo")
def command() -> int:
    """Show a deployment under load, on this machine, in a few seconds.

    Makes a small application with two versions in a temporary directory, lets dewy server deploy the first, sends users,
    publishes the second, and counts the requests that fail. Needs no account and no network, and cleans up after itself.
    """
    from dewy.demo.show import play

    return play()
