"""The demo's application: a small HTTP server on the sockets that dewy hands it. Published as an archive, run as a script.

It does what an application under dewy does: says READY=1 when it serves, and at SIGTERM stops accepting, finishes what it
has begun, tells clients to close their connections, and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import cast

VERSION = "v0.0.0"  # replaced when a version is published
IDLE = 1.0  # seconds that an idle connection stays open after SIGTERM


def ready() -> None:
    """Tells dewy, as sd_notify(3) does."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)


class Application:
    """Serves ``GET /``, and ``GET /slow`` which takes its time."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.connections: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serves until SIGTERM, then until the last connection is done."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopping.set)
        count = int(os.environ["LISTEN_FDS"])
        servers = [
            await asyncio.start_server(self.connected, sock=socket.socket(fileno=number)) for number in range(3, 3 + count)
        ]
        ready()
        await self.stopping.wait()
        for server in servers:
            server.close()
        await asyncio.sleep(0.05)  # connections that are accepted already but have no task yet
        while self.connections:
            await asyncio.wait(self.connections)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first request to its last."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self.connections.add(task)
        try:
            while await self.answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()
            self.connections.discard(task)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; whether the connection stays open."""
        head = await self.request(reader)
        if not head:
            return False
        if head.startswith(b"GET /slow"):
            await asyncio.sleep(0.3)
        last = self.stopping.is_set() or b"connection: close" in head.lower()
        body = f"{VERSION} from process {os.getpid()}\n".encode()
        kind = "close" if last else "keep-alive"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s" % (len(body), kind.encode(), body))
        await writer.drain()
        return not last

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """The head of the next request; empty when there is none any more."""
        reading = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=None if not self.stopping.is_set() else IDLE)
            return reading.result() if reading.done() and not reading.exception() else b""
        finally:
            stopping.cancel()
            reading.cancel()


if __name__ == "__main__":
    asyncio.run(Application().serve())
