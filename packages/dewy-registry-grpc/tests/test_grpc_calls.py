"""Calls to a real server: what is asked and reported, deadlines, restarts, one connection for all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dewy.errors import RegistryError
from dewy.types import Platform, Release, Report
from dewy.urls import parse_url
from dewy_registry_grpc.connection import DEADLINE, Connection
from dewy_registry_grpc.plugin import REGISTRY
from dewy_registry_grpc.registry import GrpcRegistry
from dewy_registry_grpc.sdk import grpc
from dewy_registry_grpc.target import Target
from grpc_server import GrpcServer, OpenRegistry, Router, black_hole

ARMV7 = Platform("linux", "arm", "v7")
AMD64 = Platform("linux", "amd64")
RELEASE = Release(version="v1.4.0", artifact="app", url="https://127.0.0.1:9/app", id="answer-1")


def report(error: str | None = None) -> Report:
    return Report(release=RELEASE, command="server", host="web1", at=datetime(2024, 3, 15, tzinfo=UTC), error=error)


def patient(url: str, deadline: float) -> GrpcRegistry:
    """A registry with another deadline."""
    return GrpcRegistry(Connection(Target.of(parse_url(url, REGISTRY.options)), {}, deadline))


def test_platform_is_asked_for_in_gos_names_and_no_artifact_is_named(
    server: GrpcServer, open_registry: OpenRegistry
) -> None:
    server.offer(ARMV7, RELEASE)
    assert open_registry(server.url).current(ARMV7) == RELEASE
    (call,) = server.calls
    assert (call.request.arch, call.request.os) == ("arm", "linux")
    assert not call.request.HasField("arifact_name")
    assert call.agent.startswith("dewy/")


def test_success_is_reported_without_err(server: GrpcServer, open_registry: OpenRegistry) -> None:
    """Absent, not empty: servers tell the two apart."""
    open_registry(server.url).report(report())
    assert [call.content for call in server.calls] == [b"\x0a\x08answer-1\x12\x06v1.4.0\x1a\x06server"]


def test_failure_is_reported_with_its_reason(server: GrpcServer, open_registry: OpenRegistry) -> None:
    """Whatever an application has printed, and however much of it."""
    registry = open_registry(server.url)
    for reason in ("", "not ready in 30s", "bytes \udcff of another encoding", "x" * 10_000_000):
        registry.report(report(reason))
    assert [seen.error for seen in server.reports()] == [
        "", "not ready in 30s", "bytes ? of another encoding", "x" * 4096,
    ]  # fmt: skip


def test_every_call_has_a_deadline(server: GrpcServer, open_registry: OpenRegistry) -> None:
    server.offer(AMD64, RELEASE)
    registry = open_registry(server.url)
    registry.current(AMD64)
    registry.report(report())
    assert [call.method for call in server.calls] == ["Current", "Report"]
    for call in server.calls:
        assert call.seconds_left is not None
        assert 0 < call.seconds_left <= DEADLINE + 1  # gRPC rounds it for the wire


@pytest.mark.parametrize("tls", ["?no-tls=true", ""])
def test_a_server_that_never_answers_is_given_up(tls: str) -> None:
    with black_hole() as port:
        registry = patient(f"grpc://127.0.0.1:{port}{tls}", 0.3)
        started = time.monotonic()
        with pytest.raises(RegistryError, match="failed: no answer in time"):
            registry.current(AMD64)
        with pytest.raises(RegistryError, match=r"reporting v1\.4\.0 to .* failed: no answer in time"):
            registry.report(report())
        assert time.monotonic() - started < 5


def test_a_server_that_hangs_in_a_call_is_given_up(server: GrpcServer) -> None:
    """And asked again later, over a new connection."""
    server.offer(AMD64, RELEASE)
    registry = patient(server.url, 1)
    hang = threading.Event()
    server.answer = lambda _context: bytes(hang.wait(30))
    with pytest.raises(RegistryError, match="failed: no answer in time"):
        registry.current(AMD64)
    server.answer = None
    hang.set()
    assert registry.current(AMD64) == RELEASE
    first, second = server.calls
    assert first.peer != second.peer


def test_polls_share_one_connection(server: GrpcServer, open_registry: OpenRegistry) -> None:
    server.offer(AMD64, RELEASE)
    registry = open_registry(server.url)
    for _ in range(20):
        registry.current(AMD64)
    registry.report(report())
    assert len({call.peer for call in server.calls}) == 1


def test_no_release_does_not_cost_the_connection(server: GrpcServer, open_registry: OpenRegistry) -> None:
    registry = open_registry(server.url)
    for _ in range(3):
        with pytest.raises(RegistryError):
            registry.current(AMD64)
    assert len({call.peer for call in server.calls}) == 1


def test_server_that_was_restarted_between_two_polls_is_not_even_noticed(
    server: GrpcServer, open_registry: OpenRegistry
) -> None:
    server.offer(AMD64, RELEASE)
    registry = open_registry(server.url)
    for _ in range(3):
        assert registry.current(AMD64) == RELEASE
        server.stop()
        server.start()
    registry.report(report())
    assert len({call.peer for call in server.calls}) == 4


def test_server_that_was_away_is_found_again_at_the_next_poll(server: GrpcServer, open_registry: OpenRegistry) -> None:
    """At once, however long it was away: there is no hidden back-off beside dewy's own."""
    server.offer(AMD64, RELEASE)
    registry = open_registry(server.url)
    assert registry.current(AMD64) == RELEASE
    server.stop()
    for _ in range(5):
        with pytest.raises(RegistryError, match="no connection: Connection refused"):
            registry.current(AMD64)
    server.start()
    assert registry.current(AMD64) == RELEASE


def test_dewy_that_comes_up_before_its_registry_finds_it(server: GrpcServer, open_registry: OpenRegistry) -> None:
    server.offer(AMD64, RELEASE)
    server.stop()
    registry = open_registry(server.url)
    with pytest.raises(RegistryError, match="Connection refused"):
        registry.current(AMD64)
    server.start()
    assert registry.current(AMD64) == RELEASE


def test_nobody_connects_in_the_background(server: GrpcServer, open_registry: OpenRegistry) -> None:
    """A fleet whose server is down must not knock all the time: dewy asks when its own back-off says so (R30)."""
    registry = open_registry(server.url)
    server.stop()
    with pytest.raises(RegistryError):
        registry.current(AMD64)
    with socket.create_server(("127.0.0.1", server.port)) as listening:
        listening.settimeout(2)  # gRPC's own first try comes after a second
        with pytest.raises(TimeoutError):
            listening.accept()


def test_connection_that_a_firewall_has_forgotten_is_made_anew_within_the_call(server: GrpcServer) -> None:
    """What is sent on it is lost without a word: only an unanswered ping tells."""
    server.offer(AMD64, RELEASE)
    with Router(server.port) as router:
        registry = patient(f"grpc://127.0.0.1:{router.port}?no-tls=true", 2)
        registry.current(AMD64)
        router.forget()
        assert registry.current(AMD64) == RELEASE
        router.forget()
        registry.report(report())
    assert len({call.peer for call in server.calls}) == 3


def test_report_that_met_a_dead_connection_is_sent_again(server: GrpcServer, open_registry: OpenRegistry) -> None:
    """Once: a deployment takes long enough for the connection of the poll to go."""
    server.offer(AMD64, RELEASE)
    registry = open_registry(server.url)
    registry.current(AMD64)
    failures = iter([True])

    def drop(context: Any) -> None:
        if next(failures, False):
            context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    server.reporting = drop
    registry.report(report())
    assert [call.method for call in server.calls] == ["Current", "Report", "Report"]


def test_server_that_stays_unavailable_is_asked_twice_at_most(server: GrpcServer, open_registry: OpenRegistry) -> None:
    server.offer(AMD64, RELEASE)
    registry = open_registry(server.url)
    registry.current(AMD64)

    def unavailable(context: Any) -> None:
        context.abort(grpc.StatusCode.UNAVAILABLE, "under maintenance")

    server.reporting = unavailable
    with pytest.raises(RegistryError, match="no connection: under maintenance"):
        registry.report(report())
    assert len(server.reports()) == 2
    with pytest.raises(RegistryError):
        registry.report(report())
    assert len(server.reports()) == 3


def test_digest_and_size_travel_as_metadata(server: GrpcServer, open_registry: OpenRegistry) -> None:
    """In the headers or in the trailers, as a server's library makes easier."""
    server.offer(AMD64, RELEASE)
    server.metadata = (("dewy-artifact-digest", f"sha256:{'ab' * 32}"),)
    server.trailers = (("dewy-artifact-size", "1024"),)
    release = open_registry(server.url).current(AMD64)
    assert (release.digests, release.size) == ((f"sha256:{'ab' * 32}",), 1024)


_CHILD = """
import os, subprocess, sys
from pathlib import Path
from dewy.errors import RegistryError
from dewy.testing import TestContext
from dewy.types import Platform
from dewy.urls import parse_url
from dewy_registry_grpc.plugin import REGISTRY

assert "grpc" not in sys.modules
registry = REGISTRY.open(parse_url(sys.argv[1], REGISTRY.options), TestContext(Path(sys.argv[2])))
for _ in range(3):
    try:
        print(registry.current(Platform("linux", "amd64")).version)
    except RegistryError:
        print("failed")
    # as dewy starts applications and hooks, and as a stranger's plugin may
    pid = os.posix_spawn("/bin/true", ["true"], {})
    assert os.waitpid(pid, 0)[1] == 0
    assert subprocess.run(["/bin/true"], start_new_session=True).returncode == 0
    pid = os.fork()
    if not pid:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


def run_child(url: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _CHILD, url, str(folder)],
        env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("works", [True, False])
def test_grpc_is_quiet(
    started: Callable[..., GrpcServer], works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words on standard error would stand in dewy's log."""
    monkeypatch.delenv("GRPC_VERBOSITY")  # which this process has set for itself
    server = started()
    server.offer(AMD64, RELEASE)
    url = server.url if works else server.url.replace("no-tls=true", "")  # TLS to a server in the clear
    done = run_child(url, tmp_path)
    assert done.stderr == ""
    assert done.stdout.split() == ["v1.4.0" if works else "failed"] * 3


@pytest.mark.parametrize("support", ["0", "1"])
def test_children_do_grpc_no_harm_whatever_the_application_wants_of_it(
    started: Callable[..., GrpcServer], tmp_path: Path, support: str
) -> None:
    """The variable is meant for the application, dewy only inherits it."""
    server = started()
    server.offer(AMD64, RELEASE)
    done = run_child(server.url, tmp_path, GRPC_ENABLE_FORK_SUPPORT=support)
    assert done.stdout.split() == ["v1.4.0"] * 3
    assert done.stderr == ""
