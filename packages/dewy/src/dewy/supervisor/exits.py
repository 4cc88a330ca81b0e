"""How a process ended, in words."""

from __future__ import annotations

import signal

__all__ = ["describe_exit", "explain_exit"]

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
"""The shell's answers when it cannot run a program, POSIX XCU 2.8.2."""


def describe_exit(code: int | None) -> str:
    """``exit status 3`` or ``killed by SIGSEGV``.

    Args:
        code: As :func:`os.waitstatus_to_exitcode` gives it: a signal is negative. None when nobody could be asked.
    """
    if code is None:
        return "exit status unknown"
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def explain_exit(code: int | None) -> str:
    """What is behind an exit right after the start, where that is known; else empty."""
    if code == _NOT_EXECUTABLE:
        return "The program cannot be executed here: is it built for another platform?"
    if code == _NOT_FOUND:
        return (
            "A program was not found: its loader or interpreter if it is the application itself"
            " (built for another C library?), or one that it runs"
        )
    if code == 0:
        return "An application stays in the foreground: one that puts itself into the background cannot be supervised"
    if code == -signal.SIGKILL:
        return "Somebody killed it: when memory is short the kernel does, and says so in its log (`dmesg`)"
    return ""
