"""HTTP servers on the loopback that answer what a function says, also with what no server should send."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """What a client sent, and to which of the servers."""

    role: str
    method: str
    target: str
    headers: dict[str, str]
    connection: int
    body: bytes = field(default=b"", repr=False)

    @property
    def parts(self) -> list[str]:
        """The path, split and then decoded."""
        return [unquote(part) for part in urlsplit(self.target).path.strip("/").split("/")]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True)
class Answer:
    """What the server sends. ``cut``: so many bytes of the body, then the end. ``hang``: nothing at all."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    hang: bool = False


def of_json(document: Any, status: int = 200, **headers: str) -> Answer:
    """An answer in JSON; ``headers`` with underscores for dashes."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json; charset=utf-8", **fields})


class Wire:
    """One server for each role, each on another address of the loopback."""

    def __init__(self, addresses: dict[str, str], answer: Callable[[Request], Answer]) -> None:
        self._answer, self._stopping = answer, threading.Event()
        self._servers = {role: self._serve(role, address) for role, address in addresses.items()}
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in self._servers.values()]

    def url(self, role: str) -> str:
        host, port = self._servers[role].server_address[:2]
        return f"http://{host}:{port}"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def _serve(self, role: str, address: str) -> ThreadingHTTPServer:
        answer, stopping = self._answer, self._stopping

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20
            disable_nagle_algorithm = True

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fields = {name.lower(): value for name, value in self.headers.items()}
                said = answer(Request(role, self.command, self.path, fields, self.client_address[1], body))
                if said.hang:
                    stopping.wait(20)
                    self.close_connection = True
                    return
                headers = {"Content-Length": str(len(said.body))} if said.status not in (204, 304) else {}
                lines = [f"{name}: {value}" for name, value in (headers | said.headers).items()]
                head = "\r\n".join([f"HTTP/1.1 {said.status} {HTTPStatus(said.status).phrase}", *lines, "", ""]).encode(
                    "latin-1"
                )
                self.wfile.write(head)
                self.wfile.write(memoryview(said.body)[: said.cut])  # not a copy: it would count as the client's memory
                self.close_connection = self.close_connection or said.cut is not None

            do_GET = do_POST = do_DELETE = handle_one  # noqa: N815 - the names are the library's

            def log_message(self, *arguments: object) -> None:
                """Tests ask the server what it has seen."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *arguments: object) -> None:
                """A client that goes away in the middle is what some tests are about."""

        return Server((address, 0), Handler)
