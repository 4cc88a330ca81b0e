"""One process and its group: spawned without a fork, watched without a thread, signalled without a doubt who is meant."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

from dewy.errors import DewyError, HostError, StartError
from dewy.supervisor.launch import FIRST_FD, Launch
from dewy.supervisor.program import check_program

__all__ = ["Process", "spawn"]

_SHELL = ("/bin/sh", "-c", 'cd "$1" && shift && export LISTEN_PID=$$ && exec "$@"', "sh")
_SHELL_WITHOUT_SOCKETS = ("/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh")
"""Set the directory and LISTEN_PID between fork and exec: the process, and so its pid, stays the same."""

_PYTHON = """
import os, signal, sys
os.chdir(sys.argv[1])
if sys.argv[2]:
    os.environ["LISTEN_PID"] = str(os.getpid())
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
try:
    os.execvp(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.exit(f"{sys.argv[3]}: {error.strerror}")
"""
"""The same where the shell is not there or would lose a part of the environment; takes some ten milliseconds more."""


def spawn(launch: Launch, environ: dict[str, str], sockets: Sequence[int], stdout: int, stderr: int) -> Process:
    """Starts the application as the leader of a process group of its own.

    Args:
        launch: What to start.
        environ: Its whole environment but for ``LISTEN_PID``.
        sockets: Descriptors that become 3, 4, … in the child. These and the next two are above all numbers filled there.
        stdout: Becomes its standard output.
        stderr: Becomes its standard error.

    Raises:
        StartError: The program cannot be run.
        HostError: This host has no room for one more process.
    """
    check_program(launch)
    argv = _wrapped(launch, environ, with_sockets=bool(sockets))
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
        *((os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(sockets, FIRST_FD)),
        *((os.POSIX_SPAWN_CLOSE, stray) for stray in _strays(FIRST_FD + len(sockets))),
    ]
    try:
        pid = os.posix_spawn(
            argv[0], argv, environ, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=_resettable_signals()
        )
    except OSError as error:
        raise _cannot(launch, error) from error
    return Process(pid)


def _wrapped(launch: Launch, environ: dict[str, str], *, with_sockets: bool) -> tuple[str, ...]:
    """The command line that ends in the application's."""
    if os.access(_SHELL[0], os.X_OK) and all(name.isidentifier() and name.isascii() for name in environ):
        shell = _SHELL if with_sockets else _SHELL_WITHOUT_SOCKETS
        return (*shell, str(launch.directory), *launch.argv)
    # a container without a shell, or a variable whose name is no shell name (`spring.datasource.url`): dash drops those
    flag = "sockets" if with_sockets else ""
    return (_interpreter(), "-I", "-S", "-c", _PYTHON, str(launch.directory), flag, *launch.argv)


def _interpreter() -> str:
    return sys.executable or shutil.which("python3") or "/usr/bin/python3"


@functools.cache
def _resettable_signals() -> tuple[int, ...]:
    """All that can have an action. Python ignores SIGPIPE and SIGXFSZ, and a parent of dewy may have ignored more."""
    return tuple(int(number) for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP))


def _strays(first: int) -> Iterator[int]:
    """Descriptors that a child would inherit without being meant to: those dewy's own parent has left open."""
    for name in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"):  # noqa: PTH208 - names are enough
        with contextlib.suppress(OSError):  # the listing's own descriptor
            if int(name) >= first and os.get_inheritable(int(name)):
                yield int(name)


def _cannot(launch: Launch, error: OSError) -> DewyError:
    what = f"cannot start {launch.argv[0]}: {error.strerror}"
    if error.errno == errno.E2BIG:
        return StartError(what, "Its command line and environment together are too long for this system")
    return HostError(what, "This host has no room for one more process: see its memory and `ulimit -u`")


class Process:
    """A child that leads its process group.

    Until :meth:`reap` its number cannot go to anybody else, so a signal to it or to its group meets nobody else.

    Attributes:
        pid: Of the process and of its group.
        exited: Is set to its exit code as soon as it has ended; None for "nobody knows", when something else has
            reaped it. See :func:`os.waitstatus_to_exitcode`.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._reaped = False
        self._watch()

    def signal(self, number: int) -> None:
        """Sends a signal to the process, if it is still there."""
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def signal_group(self, number: int) -> bool:
        """Sends a signal to all of the group (0: to none); whether there is anybody in it, and be it a zombie.

        After :meth:`reap` the group's number is still nobody else's as long as there is somebody in it.
        """
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True  # those who are left have become another user
        return True

    def reap(self) -> None:
        """Lets the process that has ended go, so that it is no zombie. Its number may be given to another now."""
        if not self._reaped:
            self._reaped = True
            with contextlib.suppress(ChildProcessError):  # something else in this process has waited for it
                os.waitpid(self.pid, os.WNOHANG)

    def _watch(self) -> None:
        """Has :attr:`exited` set, by a descriptor of the process where the system has them, else by a thread."""
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or Linux before 5.3, or not allowed in this container
            threading.Thread(target=self._wait, args=(loop,), name=f"wait for {self.pid}", daemon=True).start()
            return
        loop.add_reader(descriptor, self._has_exited, descriptor)

    def _has_exited(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._settle(_peek(self.pid, os.WNOHANG))

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        code = _peek(self.pid, 0)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(self._settle, code)

    def _settle(self, code: int | None) -> None:
        if not self.exited.done():
            self.exited.set_result(code)


def _peek(pid: int, flags: int) -> int | None:
    """The exit code of a child that has ended, which stays a zombie; None when it was reaped by something else."""
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | flags)
    except ChildProcessError:
        return None
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
