"""Every way in which a server fails is a sentence that says what to do."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dewy.errors import RegistryError, ReleasePending
from dewy.testing.failures import check_sentence
from dewy.types import Platform
from dewy_registry_grpc.sdk import grpc
from grpc_server import GrpcServer, OpenRegistry

AMD64 = Platform("linux", "amd64")
CODES = grpc.StatusCode


def failure(open_registry: OpenRegistry, url: str) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        open_registry(url).current(AMD64)
    check_sentence(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (CODES.UNAVAILABLE, "no connection: because", "Check the host and the port"),
        (CODES.UNAUTHENTICATED, "the server does not know this host: because", "give this one's with ?cert=FILE&key=FILE"),
        (CODES.PERMISSION_DENIED, "the server refuses this host: because", "Have the server allow it"),
        (CODES.NOT_FOUND, "the server has no release for this host: because", "Publish one there"),
        (CODES.UNIMPLEMENTED, "the server does not know the call: because", "RegistryService"),
        (CODES.RESOURCE_EXHAUSTED, "the server has too much to do, or its answer is too large: because", "tries again"),
        (CODES.DEADLINE_EXCEEDED, "no answer in time", "Check the host and the port"),
        (CODES.INVALID_ARGUMENT, "the server does not take the request: because", "RegistryService"),
        (CODES.INTERNAL, "the server failed: because", "Check the server's log"),
        (CODES.UNKNOWN, "the server failed: because", "Check the server's log"),
        (CODES.ABORTED, "the server cut the call off: because", "tries again"),
        (CODES.DATA_LOSS, "the server answered DATA_LOSS: because", ""),
    ],
)
def test_each_status_says_what_it_means(
    server: GrpcServer, open_registry: OpenRegistry, code: Any, reason: str, hint: str
) -> None:
    server.answer = lambda context: context.abort(code, "because\n of \x1b[31mthis.")
    error = failure(open_registry, server.url)
    assert error.message.startswith(f"asking grpc://127.0.0.1:{server.port} what linux/amd64 should run failed: {reason}")
    assert hint in error.hint
    assert not isinstance(error, ReleasePending), "a server that has nothing is a trouble that people want to know of"


def test_a_servers_long_story_is_cut(server: GrpcServer, open_registry: OpenRegistry) -> None:
    server.answer = lambda context: context.abort(CODES.NOT_FOUND, "all of it " * 300)
    assert len(failure(open_registry, server.url).message) < 350


def test_a_server_that_raises_is_the_servers_fault(server: GrpcServer, open_registry: OpenRegistry) -> None:
    server.answer = lambda _context: b"%d" % (1 // 0)
    assert "the server failed: Exception calling application" in failure(open_registry, server.url).message


@pytest.mark.parametrize("content", [b"\xff\xff", b"\x12\x02\xff\xfe", b"\x08\x01\x12"])
def test_an_answer_that_is_none_is_told_so(server: GrpcServer, open_registry: OpenRegistry, content: bytes) -> None:
    server.answer = lambda _context: content
    assert "something that is no CurrentResponse" in failure(open_registry, server.url).message


def test_an_empty_answer_is_refused(server: GrpcServer, open_registry: OpenRegistry) -> None:
    """All fields have defaults in this protocol: a server that forgot them says nothing at all."""
    server.answer = lambda _context: b""
    assert "answered with a tag that is no version: ''" in failure(open_registry, server.url).message


def test_an_answer_of_many_megabytes_is_not_read(server: GrpcServer, open_registry: OpenRegistry) -> None:
    server.answer = lambda _context: b"\x12\x80\x80\x80\x01" + b"v" * (1 << 21)
    assert "its answer is too large" in failure(open_registry, server.url).message


def test_a_name_that_nobody_has(open_registry: OpenRegistry) -> None:
    error = failure(open_registry, "grpc://no-such-host.invalid:50051?no-tls=true")
    assert "the host's name cannot be resolved" in error.message
    assert "DNS" in error.hint


def test_another_service_of_grpc(open_registry: OpenRegistry) -> None:
    from concurrent.futures import ThreadPoolExecutor

    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        error = failure(open_registry, f"grpc://127.0.0.1:{port}?no-tls=true")
    finally:
        other.stop(0).wait(10)
    assert "the server does not know the call" in error.message


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_a_web_server(open_registry: OpenRegistry) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.05,))
        thread.start()
        try:
            clear = failure(open_registry, f"grpc://127.0.0.1:{web.server_port}?no-tls=true")
            safe = failure(open_registry, f"grpc://127.0.0.1:{web.server_port}")
        finally:
            web.shutdown()
            thread.join(10)
    assert "does not speak HTTP/2" in clear.message
    assert "the server does not speak TLS" in safe.message
