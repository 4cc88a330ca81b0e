"""A running ``dewy`` command, as its user starts it, and what it says."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

DEWY = [sys.executable, "-m", "dewy"]
_PORTS = range(10_000, 32_000)


def environment(**more: str) -> dict[str, str]:
    """The environment without what could reach into the test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DEWY_", "AWS_", "NOTIFY_"))}
    # versions are watched for as long as a test says so, which is not at all for most
    return {**clean, "DEWY_BAKE_TIME": "0", **more}


def dewy(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of dewy to its end."""
    return subprocess.run(
        [*DEWY, *arguments], cwd=cwd, env=environment(**environ), capture_output=True, text=True, timeout=60, check=False
    )


def free_port() -> int:
    """A port that nobody has, of those that no system gives away by itself: it stays free while dewy is down."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def eventually(condition: Callable[[], Any], seconds: float = 30, what: str = "it") -> Any:
    """Waits until a condition holds, and returns what it said."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds}s"
        time.sleep(0.02)
    return value


class Running:
    """A ``dewy server`` or ``dewy assets`` process. Its log is JSON and read as it comes."""

    def __init__(self, arguments: list[str], command: Sequence[str] = DEWY, **environ: str) -> None:
        self.process = subprocess.Popen(
            [*command, arguments[0], "-l", "debug", "-f", "json", *arguments[1:]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(**environ),
        )  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self.other: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(cast(IO[str], stream),), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and "event" in event:
            self.events.append(event)
        else:
            self.other.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self.process.pid

    def of(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of a name so far, with these fields."""
        return [e for e in list(self.events) if e["event"] == name and fields.items() <= e.items()]

    def wait_for(self, name: str, *, count: int = 1, seconds: float = 30, **fields: Any) -> dict[str, Any]:
        """Waits until an event has come so many times; returns the last of them."""
        deadline = time.monotonic() + seconds
        while len(found := self.of(name, **fields)) < count:
            assert time.monotonic() < deadline, f"no {name} {fields} ({count} times); log:\n{self.tail()}"
            assert self.process.poll() is None, f"dewy ended with {self.process.returncode}; log:\n{self.tail()}"
            time.sleep(0.01)
        return found[-1]

    def tail(self, lines: int = 40) -> str:
        shown = [f"{e['time'][11:]} {e['event']}: {e['text']}" for e in self.events[-lines:]]
        return "\n".join([*shown, *self.other[-10:]])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """What the out-of-memory killer does."""
        self.process.kill()
        self.process.wait(10)
        self._join()

    def _join(self) -> None:
        """Reads the rest; an application that outlives dewy may keep the other end open."""
        for reader in self._readers:
            reader.join(1)

    def stop(self, seconds: float = 40) -> int:
        """Asks it to stop, as systemd does; its status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"dewy did not stop within {seconds}s; log:\n{self.tail()}") from None
        self._join()
        return self.process.returncode


@contextlib.contextmanager
def running(*arguments: str, command: Sequence[str] = DEWY, **environ: str) -> Iterator[Running]:
    """Runs dewy for the time of the block, and holds it to a clean end."""
    process = Running(list(arguments), command, **environ)
    try:
        yield process
    except BaseException:
        print(process.tail(80))  # noqa: T201 - shown by pytest with the failure
        if process.process.poll() is None:
            process.signal(signal.SIGTERM)
        try:
            process.process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    assert process.stop() == 0, process.tail()
