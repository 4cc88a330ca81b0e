"""What stands between dewy and a server in tests: counts, cuts answers off, trickles, falls silent; or is the server."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from server_processes import wait_until

__all__ = ["Proxy"]

_PIECE = 65536
_PATIENCE = 30.0
"""Seconds."""
_UNDELIVERED = (4, 9, 11)
"""The states FIN_WAIT1, LAST_ACK and CLOSING of TCP: the end of what was sent has not reached the other side."""


class Proxy:
    """Passes connections on to a port of this host.

    Args:
        port: Where to; 0 for nowhere: each piece that comes is answered here.
        words: The answer then.
        context: Ends TLS with it; None for the clear.
    """

    def __init__(self, port: int, words: bytes = b"", *, context: ssl.SSLContext | None = None) -> None:
        self._upstream, self._context = port, context
        self.answers: Callable[[bytes], bytes] = lambda _request: words
        """Given a piece of a request, the answer to it where there is no server."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.connections = 0
        self.requests: list[bytes] = []
        """What clients sent, as it came."""
        self.replies: list[bytes] = []
        """What clients were sent by the server."""
        self.cut_when: Callable[[bytes], int | None] = lambda _answer: None
        """Given a piece of the server's answer, after how many bytes to hang up; None to pass it on."""
        self.trickle = 0.0
        """Seconds between single bytes of an answer."""
        self._muted = 0

    def __enter__(self) -> Proxy:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        _end(self._listener, *self._open)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection does not end"
        for one in (self._listener, *self._open):
            one.close()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def mute(self) -> None:
        """Keeps the server's words here from now on, on the connections that there are; new ones work."""
        self._muted = self.connections

    def hang_up(self) -> None:
        """Ends all connections, and returns when that has reached the other side."""
        _end(*self._open)
        wait_until(lambda: all(_is_delivered(one) for one in self._open))

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
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(client)
            self._spawn(self._serve if self._upstream else self._answer, client, self.connections)

    def _answer(self, client: socket.socket, _number: int) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                self.requests.append(piece)
                self._pass(self.answers(piece), client)
        _end(client)

    def _serve(self, client: socket.socket, number: int) -> None:
        client.settimeout(_PATIENCE)
        try:
            if self._context:
                client = self._context.wrap_socket(client, server_side=True)
                self._open.append(client)
            server = socket.create_connection(("127.0.0.1", self._upstream), timeout=_PATIENCE)
        except OSError:  # the client does not like the certificate, or the server is down: both see it
            _end(client)
            return
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # pieces go on as they come, at once
        self._open.append(server)
        with suppress(OSError):
            self._relay(client, server, number)
        _end(server, client)

    def _relay(self, client: socket.socket, server: socket.socket, number: int) -> None:
        """Both ways, until one side hangs up. In one thread: a connection with TLS must not be read and written by two."""
        while True:
            came = [client] if _has_more(client) else select.select([client, server], [], [])[0]
            if client in came:
                if not (piece := client.recv(_PIECE)):
                    return
                self.requests.append(piece)
                server.sendall(piece)
            if server in came and self._is_over(server, client, number):
                return

    def _is_over(self, server: socket.socket, client: socket.socket, number: int) -> bool:
        """Passes a piece of the answer on, or a part of it."""
        piece = server.recv(_PIECE)
        if not piece:
            return True
        if number <= self._muted:
            return False
        end = self.cut_when(piece)
        self._pass(piece[:end], client)
        self.replies.append(piece[:end])
        return end is not None

    def _pass(self, piece: bytes, client: socket.socket) -> None:
        if not self.trickle:
            client.sendall(piece)
            return
        for index in range(len(piece)):
            client.sendall(piece[index : index + 1])
            if self._ended.wait(self.trickle):
                return


def _end(*connections: socket.socket) -> None:
    """Ends connections without closing them: a thread that waits for one would wait for the next one of that number."""
    for one in connections:
        with suppress(OSError):  # the other side has hung up
            socket.socket.shutdown(one, socket.SHUT_RDWR)  # not that of TLS, which takes the connection from its thread


def _has_more(one: socket.socket) -> bool:
    """Whether something is there that TLS has read already."""
    return isinstance(one, ssl.SSLSocket) and one.pending() > 0


def _is_delivered(one: socket.socket) -> bool:
    """Whether the other side knows that the connection is ended. One that TLS was put on is a socket no more."""
    return one.fileno() < 0 or one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] not in _UNDELIVERED
