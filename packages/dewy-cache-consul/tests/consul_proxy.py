"""What stands between dewy and the agent in tests: cuts answers off, trickles them, counts; or answers by itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

__all__ = ["Proxy"]

_PIECE = 65536


class Proxy:
    """Passes connections on to a port of this host.

    Args:
        port: Where to; 0 for nowhere: it answers each piece that comes by itself.
        words: What it answers then.
    """

    def __init__(self, port: int, words: bytes = b"") -> None:
        self._upstream = port
        self.answers: Callable[[bytes], bytes] = lambda _request: words
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.connections = 0
        self.requests: list[bytes] = []
        """What clients sent, as it came."""
        self.cut_when: Callable[[bytes, bytes], int | None] = lambda _request, _answer: None
        """Given the last piece of a request and a piece of the answer, after how many bytes to hang up; None: never."""
        self.trickle = 0.0
        """Seconds between single bytes of an answer."""

    def __enter__(self) -> Proxy:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        _close(self._listener)
        self.hang_up()
        for thread in self._threads:
            thread.join(10)

    def hang_up(self) -> None:
        """Closes all connections, and returns when that has reached the other side."""
        for one in self._open:
            _close(one)
        self._open.clear()

    @property
    def url(self) -> str:
        """Its address as a cache URL."""
        return f"consul://127.0.0.1:{self.port}"

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
            self.connections += 1
            self._open.append(client)
            self._spawn(self._serve if self._upstream else self._answer, client)

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(_PIECE):
                self.requests.append(piece)
                self._pass(self.answers(piece), client)
        _close(client)

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._upstream), timeout=30)
        self._open.append(server)
        self._spawn(self._backward, server, client)
        with contextlib.suppress(OSError):
            while piece := client.recv(_PIECE):
                self.requests.append(piece)
                server.sendall(piece)
        _close(server)
        _close(client)

    def _backward(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(_PIECE):
                end = self.cut_when(self.requests[-1], piece)
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
