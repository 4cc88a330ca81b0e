"""Where the control socket is: ``<root>/.dewy/control.sock``, however long the root's path is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["socket_address", "socket_path"]

_LONGEST = 100
"""Bytes that a socket's address may have on every system (108 on Linux, 104 on others, with their ends)."""


def socket_path(root: Path) -> Path:
    """The socket's path."""
    return root / ".dewy" / "control.sock"


@contextmanager
def socket_address(root: Path) -> Iterator[str]:
    """An address to bind to or to connect to, for the time of the block. Raises OSError.

    A path that is too long for one is reached by the number of its directory, as Linux allows.
    """
    path = socket_path(root)
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
