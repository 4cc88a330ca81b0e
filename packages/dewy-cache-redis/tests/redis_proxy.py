"""What stands between dewy and the server in tests: ends TLS, counts, cuts answers off, falls silent, trickles."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable

__all__ = ["Proxy", "wait_until"]

_PIECE = 65536


class Proxy:
    """Passes connections on to a port of this host.

    Args:
        port: Where to.
        context: Ends TLS with it; None for the clear.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._upstream, self._context = port, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.connections = 0
        self.requests: list[bytes] = []
        """What clients sent, as it came."""
        self.cut_when: Callable[[bytes], int | None] = lambda _answer: None
        """Given a piece of the server's words, after how many bytes to hang up; None to pass it on."""
        self._muted = 0
        self.trickle = 0.0
        """Seconds between single bytes of an answer."""

    def __enter__(self) -> Proxy:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(10)

    def mute(self) -> None:
        """Keeps the server's words here from now on, on the connections that there are; new ones work."""
        self._muted = self.connections

    def hang_up(self) -> None:
        """Closes all connections."""
        for one in self._open:
            _close(one)
        self._open.clear()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        self.connections += 1
        number = self.connections
        client.settimeout(30)
        try:
            client = self._context.wrap_socket(client, server_side=True) if self._context else client
        except OSError:
            _close(client)
            return
        server = socket.create_connection(("127.0.0.1", self._upstream), timeout=30)
        self._open += [client, server]
        self._spawn(self._backward, server, client, number)
        with contextlib.suppress(OSError):
            while piece := client.recv(_PIECE):
                self.requests.append(piece)
                server.sendall(piece)
        _close(server)
        _close(client)

    def _backward(self, server: socket.socket, client: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(_PIECE):
                end = self.cut_when(piece)
                if number <= self._muted:
                    continue
                if end is not None:
                    client.sendall(piece[:end])
                    break
                self._pass(piece, client)
        _close(client)
        _close(server)

    def _pass(self, piece: bytes, client: socket.socket) -> None:
        if not self.trickle:
            client.sendall(piece)
            return
        for index in range(len(piece)):
            client.sendall(piece[index : index + 1])
            if self._ended.wait(self.trickle):
                return


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def wait_until(true: Callable[[], object], within: float = 10.0) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
