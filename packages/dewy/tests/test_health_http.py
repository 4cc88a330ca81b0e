"""The HTTP health check: one request, one verdict, one deadline, whatever comes back."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dewy.health.http import http_problem
from dewy.supervisor.addresses import Address

Talk = Callable[[socket.socket], None]


@contextmanager
def served(talk: Talk, listener: socket.socket | None = None) -> Iterator[Address]:
    """A server that does with each connection what ``talk`` does."""
    listener = listener or socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        name = listener.getsockname()
        yield Address("x", "unix", path=name) if isinstance(name, str) else Address("x", "ipv4", "", name[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listener.close()


def says(answer: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return talk


def head(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "301 Moved Permanently", "302 Found", "399 X"])
def test_two_and_three_hundreds_are_healthy(status: str) -> None:
    with served(says(head(status))) as address:
        assert http_problem(address, "/healthz", 5) == ""


@pytest.mark.parametrize(
    ("answer", "says_why"),
    [
        (head("500 Oops"), "answered GET /healthz with 500 Internal Server Error"),
        (head("404 Not Found"), "answered GET /healthz with 404 Not Found"),
        (head("599 What"), "answered GET /healthz with 599"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + head("503 No"), "with 503 Service Unavailable"),
        (b"SSH-2.0-OpenSSH_9.0\r\n\r\n", "did not answer GET /healthz in HTTP"),
        (b"\x00" * 200_000, "did not answer GET /healthz in HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "did not answer GET /healthz in HTTP"),
        (b"", "did not answer GET /healthz in HTTP"),
    ],
)
def test_everything_else_is_not_and_says_why(answer: bytes, says_why: str) -> None:
    with served(says(answer)) as address:
        assert says_why in http_problem(address, "/healthz", 5)


def test_one_that_takes_the_connection_and_never_answers_is_given_up_in_time() -> None:
    gate = threading.Event()
    with served(lambda _connection: gate.wait(10) and None) as address:
        began = time.monotonic()
        assert http_problem(address, "/", 0.3) == "did not answer GET / within 0.3s"
        assert time.monotonic() - began < 3
        gate.set()


def test_one_that_drips_is_given_up_in_time() -> None:
    """Each byte comes soon, the last one never."""

    def drip(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with served(drip) as address:
        began = time.monotonic()
        assert "within 0.3s" in http_problem(address, "/", 0.3)
        assert time.monotonic() - began < 3


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert http_problem(Address("x", "ipv4", "", port), "/", 1) == "did not answer GET /: Connection refused"


def test_unix_sockets_and_ipv6(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "app.sock"))
        listener.listen()
        with served(says(head("200 OK")), listener) as address:
            assert http_problem(address, "/", 5) == ""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as six, served(says(head("200 OK")), six) as address:
        assert http_problem(Address("x", "ipv6", "::", address.port), "/", 5) == ""


def test_the_request_is_one_that_servers_understand() -> None:
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(head("200 OK"))

    with served(talk) as address:
        http_problem(address, "/healthz?deep=1", 5)
    assert asked[0].startswith(b"GET /healthz?deep=1 HTTP/1.1\r\nHost: localhost\r\n")
    assert b"Connection: close" in asked[0]
