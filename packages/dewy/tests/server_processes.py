"""Real servers in tests, whatever they serve: where they listen, waiting for them, and holding them up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable

__all__ = ["free_port", "freeze", "thaw", "wait_until"]

_POLL = 0.01


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until(true: Callable[[], object], within: float = 20.0) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(_POLL)


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stops a server: it takes connections, as the kernel does for it, and never answers.

    The signal is only on its way when ``kill`` returns. One thread takes it and stops the others, and on a busy machine they
    go on answering until each has had its turn: the parent is told when the last one stands still.
    """
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT))


def thaw(process: subprocess.Popen[bytes]) -> None:
    """It goes on."""
    process.send_signal(signal.SIGCONT)
