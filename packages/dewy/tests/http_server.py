"""A real HTTP server on a free port of the loopback. Tests decide its every byte, also those that no server should send."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self

PATIENCE = 20.0
"""Seconds after which the server itself gives up on a client."""


class Hangup(Exception):
    """The connection is over."""


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class Connection:
    """One client's connection, for an application to answer on."""

    sock: socket.socket
    number: int
    stopping: threading.Event = field(repr=False)

    def send(self, data: bytes | memoryview) -> None:
        """Sends exactly these bytes."""
        self.sock.sendall(data)

    def answer(self, status: int = 200, body: bytes | memoryview = b"", headers: Mapping[str, str] | None = None) -> None:
        """Sends a proper answer. ``headers`` replace the ones it would have; an empty value leaves one out."""
        fields = {"Content-Length": str(len(body))} if status not in {204, 304} else {}
        fields |= headers or {}
        lines = [f"{name}: {value}" for name, value in fields.items() if value]
        self.send("\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", ""]).encode("latin-1"))
        self.send(body)

    def reset(self) -> None:
        """Ends the connection with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Hangup

    def hang(self) -> None:
        """Says nothing more until the client has gone."""
        with suppress(OSError):
            while self.sock.recv(1 << 16):
                pass
        raise Hangup

    def drip(self, data: bytes, every: float) -> None:
        """Sends one byte at a time until the client has gone or all is sent."""
        for byte in data:
            self.send(bytes([byte]))
            if self.stopping.wait(every):
                raise Hangup


Application = Callable[[Request, Connection], None]


def script(*steps: Application) -> Application:
    """Answers the first request by the first step, and so on; the last one answers all that follow."""
    left = list(steps)
    lock = threading.Lock()

    def application(request: Request, connection: Connection) -> None:
        with lock:
            step = left.pop(0) if len(left) > 1 else left[0]
        step(request, connection)

    return application


def says(status: int = 200, body: bytes = b"", **headers: str) -> Application:
    """A step that gives a proper answer; header names have underscores for dashes."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, connection: connection.answer(status, body, fields)


def resets(_request: Request, connection: Connection) -> None:
    """A step that ends the connection with an RST instead of an answer."""
    connection.reset()


def hangs(_request: Request, connection: Connection) -> None:
    """A step that never answers."""
    connection.hang()


class Server:
    """Serves an application until the end of its ``with`` block.

    Args:
        application: Answers each request.
        tls: Its certificate, for https.
    """

    def __init__(self, application: Application, tls: ssl.SSLContext | None = None) -> None:
        self.application, self.tls = application, tls
        self.requests: list[Request] = []
        self.connections = 0
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        with self._lock:
            for sock in [self._listener, *self._open]:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with self._lock:
                    if self._stopping.is_set():
                        sock.close()
                        return
                    self.connections += 1
                    self._open.add(sock)
                    number = self.connections
                threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        plain = sock
        try:
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            with sock.makefile("rb") as stream:
                while request := self._read(stream.readline, stream.read):
                    with self._lock:
                        self.requests.append(request)
                    self.application(request, Connection(sock, number, self._stopping))
                Connection(sock, number, self._stopping).answer(400)  # what came was no request, or nothing
        except (OSError, Hangup, ValueError):
            pass  # the client has gone, which is often the point of the test
        finally:
            sock.close()
            with self._lock:
                self._open.discard(plain)

    @staticmethod
    def _read(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> Request | None:
        line = readline().decode("latin-1").split()
        if len(line) != 3:
            return None
        headers: dict[str, str] = {}
        while (field_line := readline().decode("latin-1").strip()) != "":
            name, _, value = field_line.partition(":")
            headers[name.lower()] = value.strip()
        return Request(line[0], line[1], headers, read(int(headers.get("content-length", 0))))


def file_of(content: bytes, *, cuts: list[int] | None = None, **headers: str) -> Application:
    """Serves a file with ranges and ``If-Range``. The n-th answer breaks off after ``cuts[n]`` bytes of its body."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    left = list(cuts or [])

    def application(request: Request, connection: Connection) -> None:
        start, status, more = 0, 200, {}
        asked = request.headers.get("range", "")
        if asked and request.headers.get("if-range") in {fields.get("ETag"), fields.get("Last-Modified")}:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                connection.answer(416, headers={**fields, "Content-Range": f"bytes */{len(content)}"})
                return
            status, more = 206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        body = memoryview(content)[start:]
        if left:
            connection.answer(status, body[: left.pop(0)], {**fields, **more, "Content-Length": str(len(body))})
            connection.reset() if len(left) % 2 else connection.sock.shutdown(socket.SHUT_RDWR)
            raise Hangup
        connection.answer(status, body, {**fields, **more})

    return application
