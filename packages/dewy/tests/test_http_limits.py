"""Servers that are slow, hostile, half dead or not there: every call ends in time, bounded, with a sentence."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dewy.http import HttpClient, HttpError, Limits, Retries
from http_server import Application, Connection, Request, Server, hangs, resets, says

QUICK = Limits(connect=0.3, silence=0.3, total=0.5, stall=0.3)


def failure(http: HttpClient, url: str, **how: object) -> HttpError:
    """Why a GET fails; it must do so well before the test's patience ends."""
    started = time.monotonic()
    with http, pytest.raises(HttpError) as caught:
        http.get(url, **how)  # type: ignore[arg-type]
    assert time.monotonic() - started < 5
    return caught.value


def client(tries: int = 1) -> HttpClient:
    return HttpClient({}, limits=QUICK, retries=Retries(tries=tries, first=0.01))


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose owner never accepts and whose queue is full: connections to it hang."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_server_that_never_accepts() -> None:
    with full_backlog() as port:
        error = failure(client(), f"http://127.0.0.1:{port}/")
    assert f"127.0.0.1:{port} gave no connection within 0.3s" in str(error)
    assert error.transient
    assert not error.sent


def test_a_server_that_accepts_and_never_answers() -> None:
    with Server(hangs) as server:
        error = failure(client(), server.url)
    assert f"{server.host} went silent for 0.3s" in str(error)


def drips_header(_request: Request, connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000, every=0.05)


def drips_body(_request: Request, connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    connection.drip(b"x" * 10_000, every=0.05)


def only_informs(_request: Request, connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, every=0.002)


def drips_a_refusal(_request: Request, connection: Connection) -> None:
    connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 10000\r\n\r\n")
    connection.drip(b"x" * 10_000, every=0.05)


@pytest.mark.parametrize("application", [drips_header, drips_body, only_informs])
def test_a_server_that_drips_hits_the_deadline_of_the_call(application: Application) -> None:
    with Server(application) as server:
        started = time.monotonic()
        error = failure(client(tries=4), server.url)
        took = time.monotonic() - started
    assert "in full within 0.5s" in str(error)
    assert took == pytest.approx(0.5, abs=0.4)


def test_a_refusal_whose_body_drips_is_still_the_refusal() -> None:
    with Server(drips_a_refusal) as server:
        assert failure(client(), server.url).status == 404


def test_the_deadline_holds_over_all_tries_and_waits_together() -> None:
    with Server(hangs) as server:
        http = HttpClient({}, limits=Limits(silence=0.2, total=0.7), retries=Retries(tries=50, first=0.01))
        started = time.monotonic()
        failure(http, server.url)
        assert time.monotonic() - started < 1.5
    assert 2 <= len(server.requests) <= 5


def test_a_call_may_have_its_own_limit() -> None:
    with Server(drips_body) as server, HttpClient({}) as http:
        assert "within 0.3s" in str(failure(http, server.url, timeout=0.3))


def endless_header(_request: Request, connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.send(b"X-More: " + b"x" * 10_000 + b"\r\n")


def endless_body(_request: Request, connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")


def test_a_header_without_end_is_given_up() -> None:
    with Server(endless_header) as server:
        assert "sends a header without end" in str(failure(client(), server.url))


def test_a_body_without_end_is_given_up_at_the_bound() -> None:
    with Server(endless_body) as server:
        assert "larger than the 300000 bytes" in str(failure(client(), server.url, max_bytes=300_000))


def test_a_body_of_just_the_bound_is_taken() -> None:
    with Server(says(200, b"x" * 1000)) as server, client() as http:
        assert len(http.get(server.url, max_bytes=1000).content) == 1000
        with pytest.raises(HttpError, match="larger than the 999 bytes"):
            http.get(server.url, max_bytes=999)


def test_a_bomb_is_bounded_after_decoding() -> None:
    bomb = gzip.compress(bytes(100 << 20), 9)
    assert len(bomb) < 150_000
    with Server(says(200, bomb, Content_Encoding="gzip")) as server:
        started = time.process_time()
        assert "larger than the 1048576 bytes" in str(failure(HttpClient({}), server.url, max_bytes=1 << 20))
        assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (b"plain", "gzip", "not encoded as its header says"),
        (gzip.compress(os.urandom(1000))[:-50], "gzip", "cut off in the middle"),
        (b"x", "br", "encoding 'br', which was not asked for"),
        (b"x", "gzip, gzip", "which was not asked for"),
    ],
)
def test_a_body_that_is_not_encoded_as_it_says_is_an_error(body: bytes, encoding: str, why: str) -> None:
    with Server(says(200, body, Content_Encoding=encoding)) as server:
        assert why in str(failure(client(), server.url))


def half(_request: Request, connection: Connection) -> None:
    connection.answer(200, b"half", {"Content-Length": "1000"})
    connection.reset()


def closes(_request: Request, connection: Connection) -> None:
    connection.sock.shutdown(socket.SHUT_RDWR)


def babbles(_request: Request, connection: Connection) -> None:
    connection.send(b"220 smtp.example.com ESMTP ready\r\n")
    closes(_request, connection)


@pytest.mark.parametrize("application", [half, closes, resets, babbles])
def test_an_answer_that_breaks_off_is_an_error_and_never_a_short_answer(application: Application) -> None:
    with Server(application) as server:
        error = failure(client(), f"{server.url}/list?key=canary")
    assert str(error) == f"{server.host} broke off in the middle of GET {server.url}/list?***"
    assert error.transient
    assert error.sent


def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(client(), f"http://127.0.0.1:{port}/")
    assert f"127.0.0.1:{port} refuses the connection" in str(error)
    assert not error.sent


def test_a_name_that_does_not_resolve() -> None:
    error = failure(HttpClient({}, retries=Retries(tries=1)), "http://no-such-host.invalid/")
    assert "the name of no-such-host.invalid does not resolve" in str(error)
    assert "DNS" in error.hint


def test_a_resolver_that_never_answers_does_not_hold_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """``getaddrinfo`` knows no time-out."""
    real, release = socket.getaddrinfo, threading.Event()

    def stuck(host: str, *args: object, **kwargs: object) -> object:
        if host == "stuck.example" and kwargs.get("flags") == 0:
            release.wait(30)
        return real(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    error = failure(client(), "http://stuck.example/")
    release.set()
    assert "stuck.example gave no connection within 0.3s" in str(error)


def test_every_address_of_a_name_gets_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead first address must not use up the time of the one that works."""
    real = socket.getaddrinfo

    def two(host: str, port: int, *args: object, **kwargs: object) -> object:
        if host != "twohost.example":
            return real(host, port, *args, **kwargs)  # type: ignore[arg-type]
        if kwargs.get("flags") != 0:
            raise socket.gaierror
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.2", port)), (*kind, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with Server(says(200, b"here")) as server, client() as http:
        assert http.get(f"http://twohost.example:{server.port}/").content == b"here"
    assert server.requests[0].headers["host"] == f"twohost.example:{server.port}"


def test_a_server_that_reads_nothing_does_not_hold_an_upload() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, client() as http:
        started = time.monotonic()
        with pytest.raises(HttpError, match=r"within|went silent"):
            http.request("PUT", f"http://127.0.0.1:{listener.getsockname()[1]}/", content=bytes(50 << 20))
        assert time.monotonic() - started < 5
