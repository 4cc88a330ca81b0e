"""A proxy before the S3 server that fails on demand: cuts transfers, stalls, answers for the server."""

from __future__ import annotations

import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

__all__ = ["Answer", "Proxy"]

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What is sent in place of the server's answer."""

    status: int
    body: bytes
    content_type: str = "application/xml"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class _Rule:
    """What happens to requests whose path and query hold ``part``, ``times`` times."""

    part: str
    times: int
    act: Callable[[_Handler], bool]


class Proxy:
    """Passes everything on to a port of this host, unless a rule says otherwise. Rules are tried in order."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.reset()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def reset(self) -> None:
        """Forgets all rules and requests, and lets go of whoever is stalled."""
        self._released.set()
        self._released = threading.Event()
        self._rules: list[_Rule] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and headers of each, in order."""
        self.connections = 0

    def wait(self) -> None:
        """Waits until the test is over."""
        self._released.wait(60)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, method: str) -> int:
        """Requests so far."""
        return Counter(seen for seen, _, _ in self.requests)[method]

    def cut(self, part: str, *, after: float, times: int) -> None:
        """Breaks transfers off after a share of what each has to bring."""
        self._rules.append(_Rule(part, times, lambda handler: handler.pass_on(share=after)))

    def stall(self, part: str, *, times: int, after: float | None = None) -> None:
        """Never answers; or, with ``after``, is silent from there on."""
        self._rules.append(_Rule(part, times, lambda handler: handler.stall(after)))

    def answer(self, part: str, answer: Answer, *, times: int = 1_000_000) -> None:
        """Answers in place of the server."""
        self._rules.append(_Rule(part, times, lambda handler: handler.say(answer)))

    def alter(self, part: str, change: Callable[[bytes], bytes], *, times: int = 1_000_000) -> None:
        """Changes a body, headers untouched. The length must stay."""
        self._rules.append(_Rule(part, times, lambda handler: handler.pass_on(change=change)))

    def before(self, part: str, act: Callable[[], object], *, times: int = 1) -> None:
        """Does something, then passes the request on."""
        self._rules.append(_Rule(part, times, lambda handler: (act(), handler.pass_on())[1]))

    def rule_for(self, path: str) -> _Rule | None:
        """The rule for a request, which is then used up once."""
        with self._lock:
            for rule in self._rules:
                if rule.part in path and rule.times:
                    rule.times -= 1
                    return rule
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that had enough is none; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._proxy.connections += 1

    @property
    def _proxy(self) -> Proxy:
        assert isinstance(self.server, _Server)
        return self.server.proxy

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._content = self.rfile.read(length)
        self._proxy.requests.append((self.command, self.path, dict(self.headers.items())))
        rule = self._proxy.rule_for(unquote(self.path)) if self.command in ("GET", "PUT") else None
        whole = rule.act(self) if rule else self.pass_on()
        if not whole:
            self._hang_up()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815

    def pass_on(self, share: float = 1.0, change: Callable[[bytes], bytes] | None = None) -> bool:
        """Asks the server and sends its answer, or a share of it. Returns whether it was all."""
        connection = HTTPConnection("127.0.0.1", self._proxy.upstream, timeout=30)
        with closing(connection):
            # Host stays what the client has signed.
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(self._content)
            return self._copy(connection.getresponse(), share, change)

    def _copy(self, answer: HTTPResponse, share: float, change: Callable[[bytes], bytes] | None) -> bool:
        size = int(answer.getheader("Content-Length") or 0)
        left = wanted = int(size * share)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() != "transfer-encoding":
                self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # the client has had enough
            while left and (piece := answer.read(min(left, _PIECE))):
                left -= len(piece)
                self.wfile.write(change(piece) if change else piece)
        return wanted == size

    def stall(self, after: float | None) -> bool:
        """Says nothing more, until the test is over."""
        if after is not None:
            self.pass_on(share=after)
            self.wfile.flush()
        self._proxy.wait()
        return False

    def say(self, answer: Answer) -> bool:
        """Sends something of our own."""
        self.send_response_only(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        return True

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""
