"""A real gRPC server to talk to, which answers, fails, stalls and restarts on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from dewy.testing import SeenReport
from dewy.types import Platform, Registry, Release
from dewy_registry_grpc._registry_pb2 import CurrentRequest, CurrentResponse, ReportRequest
from dewy_registry_grpc.sdk import grpc

__all__ = ["Call", "GrpcServer", "OpenRegistry", "Router", "black_hole"]

OpenRegistry = Callable[..., Registry]
"""Opens a registry URL, with an environment as keyword arguments."""


@dataclass(frozen=True)
class Call:
    """A call that arrived.

    Attributes:
        method: ``Current`` or ``Report``.
        request: What was asked.
        content: The same as its bytes.
        seconds_left: Until its deadline; None if it has none.
        peer: Whom it came from: differs for each connection.
        identities: The names in the client's certificate.
        agent: The client's name of itself.
    """

    method: str
    request: Any
    content: bytes
    seconds_left: float | None
    peer: str
    identities: tuple[str, ...]
    agent: str


@dataclass
class GrpcServer:
    """Serves on a port of its own, which it keeps when it is started again.

    Attributes:
        credentials: For TLS; None to serve in the clear.
        host: As the client names it.
        options: Of the registry URL.
        answer: Replaces the answer to ``Current``: gives the bytes, or uses the context to fail.
        reporting: Is called with the context at each report.
        metadata: Sent with the headers.
        trailers: Sent after the answer.
        calls: Those that arrived.
    """

    credentials: Any = None
    host: str = "127.0.0.1"
    options: dict[str, str] = field(default_factory=dict)
    answer: Callable[[Any], bytes] | None = None
    reporting: Callable[[Any], object] = lambda _context: None
    metadata: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    calls: list[Call] = field(default_factory=list)
    port: int = 0
    _offers: dict[tuple[str, str], Release] = field(default_factory=dict)
    _running: Any = None

    def __enter__(self) -> GrpcServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serves, on the port it has had before."""
        server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
        methods = {
            "Current": grpc.unary_unary_rpc_method_handler(self._current),
            "Report": grpc.unary_unary_rpc_method_handler(self._report),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("dewy.RegistryService", methods),))
        address = f"127.0.0.1:{self.port}"
        credentials = self.credentials
        self.port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        server.start()
        self._running = server

    def stop(self) -> None:
        """Hangs up on everybody."""
        if self._running:
            assert self._running.stop(0).wait(10), "the server does not stop"
            self._running = None

    @property
    def url(self) -> str:
        """The registry URL that leads to it."""
        options = self.options if self.credentials else {"no-tls": "true", **self.options}
        return f"grpc://{self.host}:{self.port}?{urlencode(options, safe='/')}"

    def offer(self, platform: Platform, release: Release) -> None:
        """Has ``release`` be what this platform should run from now on."""
        self._offers[platform.arch, platform.os] = release

    def reports(self) -> Sequence[SeenReport]:
        """The reports that arrived, in order."""
        requests = [call.request for call in self.calls if call.method == "Report"]
        return [
            SeenReport(request.id, request.tag, request.command, request.err if request.HasField("err") else None)
            for request in requests
        ]

    def _current(self, content: bytes, context: Any) -> bytes:
        request = CurrentRequest.FromString(content)
        self._note("Current", request, content, context)
        context.send_initial_metadata(self.metadata)
        context.set_trailing_metadata(self.trailers)
        if self.answer:
            return self.answer(context)
        release = self._offers.get((request.arch, request.os))
        if release is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "nothing is published")
        response = CurrentResponse(id=release.id, tag=release.version, artifact_url=release.url)
        if release.published:
            response.created_at.FromDatetime(release.published)
        return response.SerializeToString()

    def _report(self, content: bytes, context: Any) -> bytes:
        self._note("Report", ReportRequest.FromString(content), content, context)
        self.reporting(context)
        return b""

    def _note(self, method: str, request: Any, content: bytes, context: Any) -> None:
        identities = tuple(name.decode() for name in context.peer_identities() or ())
        agent = dict(context.invocation_metadata()).get("user-agent", "")
        self.calls.append(Call(method, request, content, context.time_remaining(), context.peer(), identities, agent))


@contextmanager
def black_hole() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:  # the test is over
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in taken:
                connection.close()


class Router:
    """Stands between dewy and a server, and forgets connections on demand: what they send then goes nowhere."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._sockets: list[socket.socket] = []
        self._forgotten: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Router:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listening, *self._sockets):
            with suppress(OSError):  # it is closed
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._thread.join(10)

    @property
    def port(self) -> int:
        """Where dewy connects."""
        return int(self._listening.getsockname()[1])

    def forget(self) -> None:
        """Lets nothing through on the connections that there are, and says nothing about it."""
        self._forgotten |= set(self._sockets)

    def _serve(self) -> None:
        with suppress(OSError):  # the test is over
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):  # one of the two has hung up
            while piece := source.recv(65536):
                if source not in self._forgotten:
                    to.sendall(piece)
