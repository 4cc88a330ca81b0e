"""Applications as people have them: gunicorn by systemd's convention, uvicorn by a descriptor, both swapped under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from supervision import LIMIT, Supervised, alive, run, supervised, until

from dewy.supervisor import Launch

WSGI = """
import os
def app(environ, start_response):
    body = f"{os.getppid()} {os.environ['SERVER_STARTER_GENERATION']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
ASGI = """
import os
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"{os.getpid()} {os.environ['SERVER_STARTER_GENERATION']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""


async def get(port: int) -> tuple[int, int]:
    """The pid and the generation that answer one request over HTTP."""
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
    if not answer:
        raise ConnectionResetError("closed without an answer")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head, answer
    pid, generation = map(int, body.split())
    return pid, generation


async def swaps_under_load(it: Supervised, launch: Launch, *tolerated: type[OSError]) -> set[int]:
    """Three swaps while clients ask; the generations that have answered. A request that fails otherwise fails the test."""
    seen: set[int] = set()
    stop = asyncio.Event()

    async def client() -> None:
        while not stop.is_set():
            with contextlib.suppress(*tolerated):
                seen.add((await get(it.port))[1])

    await it.supervisor.start(launch)
    await until(lambda: it.supervisor.status.state == "running")
    clients = [asyncio.create_task(client()) for _ in range(4)]
    for number in (2, 3, 4):
        await it.supervisor.restart()
        await it.only(it.pid)
        await until(lambda: number in seen, f"an answer of generation {number}")  # noqa: B023 - awaited in this round
    stop.set()
    await asyncio.gather(*clients)
    return seen


@pytest.mark.skipif(not find_spec("gunicorn"), reason="gunicorn is not installed")
def test_gunicorn_is_swapped_without_a_lost_request_and_its_workers_do_not_outlive_it(tmp_path: Path) -> None:
    (tmp_path / "webapp.py").write_text(WSGI)

    async def scenario() -> None:
        async with supervised(tmp_path, start_grace=1) as it:
            launch = it.program(sys.executable, "-m", "gunicorn", "--workers", "2", "--no-control-socket", "webapp:app")
            assert await swaps_under_load(it, launch) == {1, 2, 3, 4}
            master = it.pid
            workers = [int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text().split()]
            assert len(workers) == 2
            os.kill(master, signal.SIGKILL)
            await until(lambda: not any(alive(worker) for worker in workers))
            assert (await get(it.port))[1] == 5

    run(scenario())


@pytest.mark.skipif(not find_spec("uvicorn"), reason="uvicorn is not installed")
def test_uvicorn_is_swapped_without_a_refused_connection(tmp_path: Path) -> None:
    """It hangs up, by itself, on connections that it has accepted and not read from when SIGTERM comes."""
    (tmp_path / "webapp.py").write_text(ASGI)

    async def scenario() -> None:
        async with supervised(tmp_path, start_grace=1) as it:
            launch = it.program(sys.executable, "-m", "uvicorn", "--fd", "3", "--log-level", "warning", "webapp:app")
            assert await swaps_under_load(it, launch, ConnectionResetError) == {1, 2, 3, 4}

    run(scenario())
