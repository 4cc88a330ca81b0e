"""The end of sd_notify that systemd has: a datagram socket, read as systemd reads it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_BYTES = 4096
"""Of a message; systemd ignores a longer one as a whole (NOTIFY_BUFFER_MAX)."""


class ServiceManager:
    """Listens, and keeps what it was told.

    Attributes:
        address: What to put into NOTIFY_SOCKET.
        messages: The messages so far, each a list of lines.
    """

    def __init__(self, path: Path | None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path) if path else b"")  # an empty name: the kernel chooses an abstract one
        name = self._socket.getsockname()
        self.address = "@" + name[1:].decode() if isinstance(name, bytes) else str(name)
        self.messages: list[list[str]] = []

    def close(self) -> None:
        self._socket.close()

    def wait_for(self, prefix: str, seconds: float = 20) -> str:
        """The next line that begins so; it and all before it are read."""
        deadline = time.monotonic() + seconds
        while True:
            found = [line for line in self.read(max(0.0, deadline - time.monotonic())) if line.startswith(prefix)]
            if found:
                return found[0]

    def read(self, seconds: float = 20) -> list[str]:
        """The lines of the next message."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            message = self._socket.recv(2 * MOST_BYTES)
        except TimeoutError:
            raise AssertionError(f"nothing more within {seconds}s; so far: {self.messages}") from None
        assert len(message) <= MOST_BYTES
        lines = message.decode().split("\n")
        self.messages.append(lines)
        return lines

    def pending(self) -> list[list[str]]:
        """The messages that have come and are not read yet."""
        self._socket.setblocking(False)
        found = []
        while True:
            try:
                found.append(self._socket.recv(2 * MOST_BYTES).decode().split("\n"))
            except BlockingIOError:
                return found


@contextmanager
def service_manager(path: Path | None = None) -> Iterator[ServiceManager]:
    """One that listens at a path, or under an abstract name."""
    manager = ServiceManager(path)
    try:
        yield manager
    finally:
        manager.close()
