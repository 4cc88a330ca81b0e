"""The control socket: who may speak, what is answered, and what strangers and faults cannot do to dewy."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.control import client, server
from dewy.control.address import socket_address, socket_path
from dewy.control.client import NotRunning, ask
from dewy.control.protocol import Reply, Request, done, failed, parse_reply, parse_request, waiting
from dewy.errors import DewyError, HostError, UsageError

ME = pwd.getpwuid(os.getuid()).pw_name


class Handler:
    """Answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.finished = 0

    async def __call__(self, request: Request) -> Mapping[str, Any]:
        self.requests.append(request)
        while not self.gate.is_set():
            await asyncio.sleep(0.01)
        self.finished += 1
        if self.error:
            raise self.error
        return {"version": request.version}

    def busy_with(self, request: Request) -> str:
        return f"thinking about {request.verb}"


class Served:
    """A server in a thread of its own, as dewy's main thread is one."""

    def __init__(self, root: Path) -> None:
        self.root, self.handler = root, Handler()
        self._started, self._failure = threading.Event(), None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with server.listening(self.root, self.handler):
            self._started.set()
            await self._end.wait()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dewy").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def served(root: Path) -> Iterator[Served]:
    with Served(root) as served:
        yield served


@contextmanager
def connected(root: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        with socket_address(root) as address:
            connection.connect(address)
        yield connection


def answer_to(root: Path, line: bytes) -> Reply:
    with connected(root) as connection:
        connection.sendall(line)
        return parse_reply(connection.makefile("rb").readline())


# ------------------------------------------------------------------------------------------------------- the protocol


def test_requests_and_replies_survive_the_wire() -> None:
    request = Request("rollback", "v1.0.0", "alice")
    assert parse_request(request.line()) == request
    assert parse_reply(done({"a": 1})).done == {"a": 1}
    assert parse_reply(waiting("x")).waiting == "x"
    error = parse_reply(failed(UsageError("no", "do"))).error
    assert isinstance(error, UsageError)
    assert (error.message, error.hint) == ("no", "do")


@given(
    line=st.binary() | st.sampled_from([b"[" * 100_000, b"{}", b'{"verb": ["status"]}', b'{"verb": "status", "version": 1}'])
)
def test_whatever_comes_is_a_request_or_wrong(line: bytes) -> None:
    with pytest.raises(UsageError):
        parse_request(line)


def test_a_name_that_would_forge_the_history_is_not_taken() -> None:
    assert parse_request(Request("status", "", "alice\nroot").line()).operator == ""


# ------------------------------------------------------------------------------------------------------- who may speak


def test_an_answer_comes_and_who_asked_is_known(served: Served) -> None:
    assert ask(served.root, Request("hold", "v1", ME)) == {"version": "v1"}
    ask(served.root, Request("hold", "v1", "bob"))
    ask(served.root, Request("hold", "v1", ""))
    assert [request.operator for request in served.handler.requests] == [ME, f"bob (as {ME})", ME]


def test_the_socket_is_its_owners_alone_and_goes_with_dewy(root: Path) -> None:
    with Served(root):
        assert stat.S_IMODE(socket_path(root).stat().st_mode) == 0o600
    assert not socket_path(root).exists()


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
def test_another_user_is_turned_away_also_where_the_permissions_let_them_in(served: Served) -> None:
    served.root.chmod(0o755)
    for path in (*served.root.parents[:-2], served.root / ".dewy"):
        path.chmod(0o755)
    socket_path(served.root).chmod(0o666)
    script = (
        "import os, socket, sys\n"
        "os.setuid(65534)\n"
        "with socket.socket(socket.AF_UNIX) as s:\n"
        "    s.settimeout(10); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); print(s.makefile().readline())\n"
    )
    line = Request("rollback").line().decode()
    told = subprocess.run(
        [sys.executable, "-c", script, str(socket_path(served.root)), line],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    error = parse_reply(told.encode()).error
    assert error is not None
    assert "may not command this dewy" in error.message
    assert served.handler.requests == []


def test_the_socket_of_a_dewy_that_was_killed_is_in_nobodys_way(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path(root)))
    with pytest.raises(NotRunning):
        ask(root, Request("status"))
    with Served(root):
        ask(root, Request("status"))


def test_a_root_with_a_long_path_has_commands_too(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    (deep / ".dewy").mkdir(parents=True)
    with Served(deep):
        assert ask(deep, Request("hold", "v1")) == {"version": "v1"}
    with pytest.raises(NotRunning):
        ask(deep, Request("status"))


# ----------------------------------------------------------------------------------------------- waiting and failing


def test_who_waits_is_told_for_what(served: Served) -> None:
    served.handler.gate.clear()
    told: list[str] = []

    def hear(what: str) -> None:
        told.append(what)
        served.handler.gate.set()

    ask(served.root, Request("restart"), hear)
    assert told == ["thinking about restart"]


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (UsageError("wrong", "do it right"), UsageError, "wrong. do it right"),
        (HostError("no space"), DewyError, "no space"),
        (OSError(28, "No space left on device"), DewyError, "No space left"),
        (ValueError("a fault"), DewyError, "answering a command failed: ValueError: a fault"),
    ],
)
def test_what_fails_is_told_and_the_next_request_is_served(
    served: Served, error: Exception, kind: type[DewyError], says: str
) -> None:
    served.handler.error = error
    with pytest.raises(kind, match=says):
        ask(served.root, Request("status"))
    served.handler.error = None
    ask(served.root, Request("status"))


def test_what_was_begun_is_ended_also_when_who_asked_has_left(served: Served) -> None:
    served.handler.gate.clear()
    with connected(served.root) as connection:
        connection.sendall(Request("rollback").line())
        eventually(lambda: served.handler.requests)
    served.handler.gate.set()
    eventually(lambda: served.handler.finished)


def test_a_dewy_that_ends_before_it_answers_is_an_error(root: Path) -> None:
    with Served(root) as served:
        served.handler.gate.clear()
        errors: list[BaseException] = []
        thread = threading.Thread(target=lambda: _catch(errors, root), daemon=True)
        thread.start()
        eventually(lambda: served.handler.requests)
    thread.join(10)
    assert "has ended before it answered" in str(errors[0])


def _catch(errors: list[BaseException], root: Path) -> None:
    try:
        ask(root, Request("rollback"))
    except DewyError as error:
        errors.append(error)


def test_a_dewy_that_gives_no_sign_of_life_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PATIENCE", 0.3)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(socket_path(root)))
        silent.listen()
        with pytest.raises(DewyError, match="no sign of life"):
            ask(root, Request("status"))


# ---------------------------------------------------------------------------------------------------------- strangers


@pytest.mark.parametrize("line", [b"\n", b"GET / HTTP/1.1\r\n\r\n", b"{}\n", b"x" * 100_000, b"\xff\n", b"[" * 9000 + b"\n"])
def test_nonsense_is_answered_with_an_error(served: Served, line: bytes) -> None:
    assert isinstance(answer_to(served.root, line).error, UsageError)
    assert ask(served.root, Request("hold", "v1")) == {"version": "v1"}


def test_those_who_say_nothing_are_hung_up_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_READ_LIMIT", 0.2)
    with connected(served.root) as connection:
        assert connection.recv(1) == b""


def test_a_crowd_is_turned_away_and_dewy_serves_on(served: Served) -> None:
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    try:
        for each in crowd:
            each.settimeout(10)
            each.connect(str(socket_path(served.root)))
        assert sum(_is_hung_up(each) for each in crowd) >= 20
    finally:
        for each in crowd:
            each.close()
    eventually(lambda: _is_answered(served.root))


def _is_hung_up(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def _is_answered(root: Path) -> bool:
    try:
        return ask(root, Request("status")) is not None
    except DewyError:
        return False


def eventually(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
