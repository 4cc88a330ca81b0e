"""The demo itself: publishes two versions, lets ``dewy server`` deploy them under load, and shows what happens."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import IO, cast

import click

from dewy.demo.load import Load
from dewy.errors import DewyError

__all__ = ["play"]

_FIRST, _SECOND = "v1.0.0", "v2.0.0"
_TOLD = {
    "sockets.bound", "artifact.downloaded", "release.unpacked", "release.switched", "generation.ready", "deployment.done",
    "generation.stopped", "deployment.failed", "registry.failed", "application.crashed",
}  # fmt: skip
_PATIENCE = 20.0


def play() -> int:
    """Plays the demo; the exit status is 0 if not one request failed. Raises DewyError when it cannot go on."""
    with tempfile.TemporaryDirectory(prefix="dewy-demo-") as directory:
        return _play(Path(directory))


def _play(directory: Path) -> int:
    registry, root = directory / "registry", directory / "application"
    root.mkdir()
    port = _free_port()
    command = [
        "server", "--registry", f"file://{registry}", "-p", f"127.0.0.1:{port}", "-i", "0.5s", "-C", str(root),
        "--bake-time", "1s",
        "--", sys.executable, "./current/application.py",
    ]  # fmt: skip
    _title("One application, two versions, users all the time")
    _publish(registry, _FIRST)
    _step(f"{_FIRST} is published in a registry, which is a directory here")
    _step("dewy is started, which is all there is to do on a host:")
    click.echo(click.style(f"      dewy {' '.join(_shown(word, directory) for word in command)}", fg="cyan"))
    with _dewy(command) as dewy:
        dewy.wait_for("deployment.done")
        load = Load(port)
        load.start()
        _step("users come: connections that stay open, new ones all the time, slow requests among them")
        _watch(load, lambda: load.answers[_FIRST] >= 300)
        _publish(registry, _SECOND)
        _step(f"{_SECOND} is published; nothing else is done")
        dewy.wait_for("deployment.done")
        _watch(load, lambda: load.answers[_SECOND] >= 300)
        dewy.wait_for("generation.stopped")
        load.stop()
        _step("the users leave, and dewy is asked to stop")
    return _result(load)


# -------------------------------------------------------------------------------------------------- the dewy that is shown


class _Dewy:
    """A running ``dewy server``, by its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._seen: list[str] = []
        self._waited: dict[str, int] = {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(cast(IO[str], process.stderr),), daemon=True)
        self._reader.start()

    def _read(self, log: IO[str]) -> None:
        with log:
            for line in log:
                self._take(line)
        with self._changed:
            self._seen.append("the end")
            self._changed.notify_all()

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            click.echo(f"      {line.rstrip()}")
            return
        if event["event"] in _TOLD:
            colour = {"error": "red", "warn": "yellow"}.get(event["level"], "bright_black")
            click.echo(click.style(f"      {event['time'][11:23]}  {event['text']}", fg=colour))
        with self._changed:
            self._seen.append(event["event"])
            self._changed.notify_all()

    def wait_for(self, event: str) -> None:
        """Waits for the next event of a name. Raises DewyError when it does not come."""
        wanted = self._waited[event] = self._waited.get(event, 0) + 1
        with self._changed:
            came = self._changed.wait_for(lambda: self._seen.count(event) >= wanted or "the end" in self._seen, _PATIENCE)
            if not came or self._seen.count(event) < wanted:
                raise DewyError(f"the demo cannot go on: dewy did not say {event} within {_PATIENCE:.0f}s")

    def finish(self) -> None:
        """Waits for the log's end."""
        self._reader.join(_PATIENCE)


@contextmanager
def _dewy(arguments: list[str]) -> Iterator[_Dewy]:
    """Runs dewy as a user does, for the time of the block."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEWY_") and name != "NOTIFY_SOCKET"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dewy", arguments[0], "-l", "info", "-f", "json", *arguments[1:]],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    dewy = _Dewy(process)
    try:
        yield dewy
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        dewy.finish()


# ------------------------------------------------------------------------------------------------------ what is published


def _publish(registry: Path, version: str) -> None:
    """Puts a version into the registry: an archive with the application, moved into place when it is whole."""
    source = files("dewy.demo").joinpath("application.py").read_text("utf-8")
    content = source.replace("v0.0.0", version, 1).encode()
    folder = registry / version
    folder.mkdir(parents=True)
    incoming = folder / ".application.tar.gz.part"
    with tarfile.open(incoming, "w:gz") as archive:
        member = tarfile.TarInfo("application.py")
        member.size, member.mode = len(content), 0o644
        archive.addfile(member, io.BytesIO(content))
    incoming.rename(folder / "application.tar.gz")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ----------------------------------------------------------------------------------------------------------- what is seen


def _title(text: str) -> None:
    click.echo(f"\n  {click.style(text, bold=True)}\n")


def _step(text: str) -> None:
    click.echo(f"  {click.style('●', fg='green')} {text}")


def _shown(word: str, directory: Path) -> str:
    if word == sys.executable:
        return "python"
    return word.replace(str(directory), "/tmp/…")  # noqa: S108 - shown, not used


def _watch(load: Load, enough: Callable[[], bool]) -> None:
    """Shows the count until there is enough of it."""
    deadline = time.monotonic() + _PATIENCE
    live = sys.stdout.isatty()
    while not enough() and time.monotonic() < deadline:
        if live:
            click.echo(f"\r\x1b[K      {_counts(load)}", nl=False)
        time.sleep(0.1)
    click.echo(f"\r\x1b[K      {_counts(load)}" if live else f"      {_counts(load)}")


def _counts(load: Load) -> str:
    answers = "   ".join(f"{version} answered {load.answers[version]}" for version in (_FIRST, _SECOND))
    return f"{load.requests} requests   {answers}   {len(load.failures)} failed"


def _result(load: Load) -> int:
    gap = f"the longest time without an answer was {load.longest_gap * 1000:.0f} ms"
    click.echo("")
    if load.failures:
        click.echo(click.style(f"  {len(load.failures)} of {load.requests} requests failed; {gap}.", fg="red", bold=True))
        for failure in sorted(set(load.failures))[:5]:
            click.echo(f"      {failure}")
        return 1
    click.echo(click.style(f"  {load.requests} requests, none failed; {gap}.", fg="green", bold=True))
    click.echo("  Next: the README shows the same with S3 and systemd; dewy plugins list shows what is installed.\n")
    return 0
