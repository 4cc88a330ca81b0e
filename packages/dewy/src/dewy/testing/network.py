"""Whether something talks to the network: Python's own audit events tell."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["watch_network"]

_EVENTS = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "subprocess.Popen"})
_watches: list[list[str]] = []
_installed: list[bool] = []


@contextmanager
def watch_network() -> Iterator[list[str]]:
    """Gives a list that holds, after the block, every connection, look-up and started process of this process in it."""
    if not _installed:
        sys.addaudithook(_audit)  # cannot be taken back, so there is one, which is idle most of the time
        _installed.append(True)
    seen: list[str] = []
    _watches.append(seen)
    try:
        yield seen
    finally:
        _watches.remove(seen)


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _watches and event in _EVENTS:
        for seen in _watches:
            seen.append(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[:1]}")
