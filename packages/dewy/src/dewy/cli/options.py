"""The options that ``server``, ``assets`` and ``check`` share, and how they become settings.

Every option also reads an environment variable ``DEWY_<OPTION>``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dewy.durations import parse_duration
from dewy.sizes import parse_size

if TYPE_CHECKING:
    from dewy.settings import Settings
    from dewy.types import Command

__all__ = ["deployment_options", "log_options", "resolve_log_level", "server_options", "settings_of"]

F = TypeVar("F", bound=Callable[..., Any])


class _Seconds(click.ParamType[float]):
    """A time: ``30``, ``30s``, ``5m``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        try:
            return parse_duration(value)
        except ValueError:
            self.fail(f"{value!r} is not a time. It takes one such as 30, 30s, 5m or 1h", param, ctx)


class _Size(click.ParamType[int]):
    """A number of bytes: ``500000``, ``512MiB``, ``10GiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except ValueError:
            self.fail(f"{value!r} is not a size. It takes one such as 500000, 512MiB or 10GiB", param, ctx)


SECONDS, SIZE = _Seconds(), _Size()


def _option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """A click option that also reads ``DEWY_<OPTION>``."""
    long = next(name for name in names if name.startswith("--"))
    variable = "DEWY_" + long[2:].upper().replace("-", "_")
    return click.option(*names, envvar=variable, show_envvar=False, **attributes)


def _apply(options: list[Callable[[F], F]], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def deployment_options(function: F) -> F:
    """What every command that deploys takes."""
    return _apply(
        [
            _option("--registry", metavar="URL", required=True, help="Where versions are, s3://region/bucket/prefix say."),
            _option("--cache", metavar="URL", default="file://", show_default=True, help="Where artifacts are kept."),
            _option("--notifier", metavar="URL", multiple=True, help="Who is told; may be given several times."),
            _option("--notify", metavar="URL", multiple=True, hidden=True),
            _option(
                "-C", "--directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(),
                help="The application's root directory.  [default: the working directory]",
            ),
            _option("-i", "--interval", type=SECONDS, default="10s", show_default=True, help="Time between polls."),
            _option("--before-deploy-hook", metavar="CMD", default="", help="Shell command run first; it can veto."),
            _option("--after-deploy-hook", metavar="CMD", default="", help="Shell command run when the version runs."),
            _option("--rollback-hook", metavar="CMD", default="", help="Shell command run when a deployment was undone."),
            _option("--hook-timeout", type=SECONDS, default="5m", show_default=True, help="How long a hook may run."),
            _option("--constraint", metavar="RANGE", default="", help="Never leave it: >=1.4,<2 or ~1.4, ^1.4, 1.4.x."),
            _option("--slot", metavar="NAME", default="", help="Only versions whose build metadata is NAME: 1.4.0+NAME."),
            _option("--calver", metavar="FORMAT", default="", help="Versions are calendar versions: YYYY.0M.MICRO, say."),
            _option(
                "--verify", type=click.Choice(["off", "auto", "required"]), default="auto", show_default=True,
                help="Whether bytes must be what is stated of them: never, where something is stated, or always.",
            ),
            _option(
                "--keep-releases", metavar="N", type=click.IntRange(min=2), default=7, show_default=True,
                help="How many release directories stay.",
            ),
            _option("--max-size", type=SIZE, default="10GiB", show_default=True, help="Most bytes, also unpacked."),
            _option(
                "--max-members", metavar="N", type=click.IntRange(min=1), default=100_000, show_default=True,
                help="Most files that an archive may have.",
            ),
        ],
        function,
    )  # fmt: skip


def server_options(function: F) -> F:
    """What a command that also supervises an application takes."""
    return _apply(
        [
            _option(
                "-p", "--port", metavar="SPEC", multiple=True,
                help="Socket to hand to COMMAND: 8000, 8000-8005, 127.0.0.1:8000, [::1]:8000 or a unix socket path; "
                "may be given several times, or with commas.",
            ),
            _option(
                "--ready", type=click.Choice(["auto", "notify", "grace"]), default="auto", show_default=True,
                help="How a new version shows that it is ready: by sd_notify, by staying up for the start grace, or by "
                "sd_notify once it has been seen to use it.",
            ),
            _option(
                "--start-grace", type=SECONDS, default="1s", show_default=True,
                help="How long a version that says nothing must stay up to count as ready.",
            ),
            _option(
                "--start-timeout", type=SECONDS, default="30s", show_default=True,
                help="How long a version that says when it is ready may take to say so.",
            ),
            _option(
                "--health-path", metavar="PATH", default="",
                help="A version is healthy when it answers GET PATH on the first --port with 2xx or 3xx: /healthz, say.",
            ),
            _option(
                "--health-command", metavar="CMD", default="",
                help="A version is healthy when this shell command ends with status 0; DEWY_HEALTH_ADDRESS is its address.",
            ),
            _option(
                "--health-timeout", type=SECONDS, default="30s", show_default=True,
                help="How long a version may take to become healthy.",
            ),
            _option(
                "--preflight", type=click.Choice(["on", "off"]), default="on", show_default=True,
                help="With a health check, start a version on private sockets first, where no user reaches it. Off: for "
                "applications that must not run twice; they are checked after the swap.",
            ),
            _option(
                "--bake-time", type=SECONDS, default="10s", show_default=True,
                help="How long a version is watched after the swap; one that dies or turns unhealthy is rolled back.",
            ),
            _option(
                "--stop-timeout", type=SECONDS, default="30s", show_default=True,
                help="How long the application may take to finish before it is killed.",
            ),
            click.argument("command", nargs=-1, type=click.UNPROCESSED),
        ],
        function,
    )  # fmt: skip


def log_options(function: F) -> F:
    """How the log is written."""
    return _apply(
        [
            _option(
                "-l", "--log-level", type=click.Choice(["debug", "info", "warn", "error"]), default=None,
                help="Least level that is logged.  [default: error; info on a terminal]",
            ),
            _option(
                "-f", "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
                help="Form of the log.",
            ),
        ],
        function,
    )  # fmt: skip


def settings_of(command: Command, options: dict[str, Any]) -> Settings:
    """The settings, from what click has read. Raises UsageError for what does not go together."""
    from dewy.settings import Settings

    if options["notify"]:
        click.echo("dewy: --notify is deprecated: use --notifier", err=True)
    return Settings(
        command=command,
        root=options["directory"].resolve(),
        registry=options["registry"],
        environ=dict(os.environ),
        argv=tuple(options.get("command", ())),
        cache=options["cache"],
        notifiers=(*options["notifier"], *options["notify"]),
        ports=tuple(options.get("port", ())),
        before_hook=options["before_deploy_hook"],
        after_hook=options["after_deploy_hook"],
        preflight=options.get("preflight", "on") == "on",
        **{
            name: options[name]
            for name in (
                "interval", "rollback_hook", "hook_timeout", "keep_releases", "max_size", "max_members",
                "constraint", "slot", "calver", "verify",
                "ready", "start_grace", "start_timeout", "stop_timeout",
                "health_path", "health_command", "health_timeout", "bake_time",
            )
            if name in options
        },
    )  # fmt: skip


def resolve_log_level(level: str | None) -> Any:
    """The level asked for; by default error, and info where a person looks on (R15)."""
    return level or ("info" if sys.stderr.isatty() else "error")
