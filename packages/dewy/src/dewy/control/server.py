"""dewy's end of the control socket, on the main thread. Who may connect is settled by the kernel: the same user, or root."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from dewy.control.address import socket_address, socket_path
from dewy.control.protocol import Request, done, failed, parse_request, waiting
from dewy.errors import DewyError, UsageError, as_dewy_error

__all__ = ["Handler", "listening"]


class Handler(Protocol):
    """Who does what is asked for."""

    async def __call__(self, request: Request) -> Mapping[str, Any]:
        """Does it, and returns what to answer. Raises DewyError for what could not be done."""

    def busy_with(self, request: Request) -> str:
        """What dewy does at the moment, for whoever waits for this request."""


_MOST_CLIENTS = 16
_MOST_REQUEST = 16 * 1024
_READ_LIMIT = 5.0
_FIRST_SIGN, _NEXT_SIGN = 0.3, 2.0
_CREDENTIALS = struct.Struct("3i")


@asynccontextmanager
async def listening(root: Path, handler: Handler) -> AsyncIterator[None]:
    """Answers requests for the time of the block.

    Args:
        root: The application's root directory, whose lock the caller has: a socket that is there is a dead dewy's.
        handler: Does what is asked for.

    Raises:
        OSError: The socket cannot be made.
    """
    socket_path(root).unlink(missing_ok=True)
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        with socket_address(root) as address:
            listener.bind(address)
        # nobody else comes here before this: the directory is its owner's alone
        socket_path(root).chmod(0o600)
        connections = _Connections(handler)
        server = await asyncio.start_unix_server(connections.serve, sock=listener, limit=_MOST_REQUEST)
        try:
            yield
        finally:
            server.close()
            connections.close()
            with contextlib.suppress(OSError):
                socket_path(root).unlink(missing_ok=True)


class _Connections:
    """Those who ask, a bounded number of them at a time."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one answer."""
        task = asyncio.current_task()
        if task is None or len(self._open) >= _MOST_CLIENTS:
            writer.close()
            return
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError):
            pass  # whoever asked is gone, or never asked
        finally:
            self._open.discard(task)
            writer.close()

    def close(self) -> None:
        """Ends all connections."""
        for task in self._open:
            task.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await _line(
                reader
            )  # read in any case: who hangs up on unread bytes resets the connection, answer and all
            request = _named(parse_request(line), _user(writer.get_extra_info("socket")))
            answer = done(await self._done(request, writer))
        except DewyError as error:
            answer = failed(error)
        await _send(writer, answer)

    async def _done(self, request: Request, writer: asyncio.StreamWriter) -> Mapping[str, Any]:
        """What the handler answers; meanwhile, signs of life. What was begun is ended, also when whoever asked leaves."""
        work = asyncio.ensure_future(_bounded(self._handler(request)))
        work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody else may look at it
        sign = _FIRST_SIGN
        while True:
            await asyncio.wait([work], timeout=sign)
            if work.done():
                return work.result()
            sign = _NEXT_SIGN
            await _send(writer, waiting(self._handler.busy_with(request)))


async def _bounded(work: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the handler does, with every fault of it as an error that can be told."""
    try:
        return await work
    except Exception as error:
        raise as_dewy_error(error, "answering a command") from error


async def _line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_READ_LIMIT):
        try:
            return await reader.readline()
        except ValueError as error:
            raise UsageError("the request is too long", "A version is a short tag") from error


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line)
    async with asyncio.timeout(_READ_LIMIT):
        await writer.drain()


def _user(connection: socket.socket) -> str:
    """The user at the other end. Raises DewyError for one who may not ask."""
    if not hasattr(socket, "SO_PEERCRED"):
        return _name(os.getuid())  # the permissions of the socket have let nobody else through
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    if user not in (0, os.getuid()):
        raise DewyError(f"{_name(user)} may not command this dewy", f"Ask as {_name(os.getuid())} or root")
    return _name(user)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _named(request: Request, user: str) -> Request:
    """The request with a name that holds: who it says it is, and as which user it came."""
    said = request.operator
    return Request(request.verb, request.version, user if said in ("", user) else f"{said} (as {user})")
