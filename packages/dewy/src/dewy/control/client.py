"""The command's end of the control socket."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dewy.control.address import socket_address
from dewy.control.protocol import LONGEST_LINE, Request, parse_reply
from dewy.errors import DewyError, from_os_error

__all__ = ["NotRunning", "ask"]

_PATIENCE = 30.0
"""Seconds without a sign of life; the server gives one every second or two."""

_NOBODY = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}


class NotRunning(DewyError):
    """Nobody listens: no dewy runs in this root, or it is just starting or ending."""


def ask(root: Path, request: Request, on_wait: Callable[[str], None] = lambda _what: None) -> Mapping[str, Any]:
    """Asks the dewy that runs in a root; what it says when it is done.

    Args:
        root: The application's root directory.
        request: What is asked.
        on_wait: Is told what dewy is busy with, now and then.

    Raises:
        NotRunning: None runs there.
        UsageError: The request makes no sense to it.
        DewyError: It could not do it, or does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        try:
            with socket_address(root) as address:
                connection.connect(address)
            connection.sendall(request.line())
            with connection.makefile("rb") as lines:
                return _await_end(lines, root, on_wait)
        except TimeoutError as error:
            raise DewyError(
                f"the dewy in {root} has given no sign of life for {_PATIENCE:.0f}s",
                "What was asked for may still be done: see its log",
            ) from error
        except OSError as error:
            if error.errno in _NOBODY:
                raise NotRunning(f"no dewy runs in {root}", "-C names the application's root directory") from error
            raise from_os_error(error, f"speaking with the dewy in {root}") from error


def _await_end(lines: BinaryIO, root: Path, on_wait: Callable[[str], None]) -> Mapping[str, Any]:
    while line := lines.readline(LONGEST_LINE):
        reply = parse_reply(line)
        if reply.error:
            raise reply.error
        if reply.done is not None:
            return reply.done
        on_wait(reply.waiting)
    raise DewyError(f"the dewy in {root} has ended before it answered", "Its log says why; ask again when it is up")
