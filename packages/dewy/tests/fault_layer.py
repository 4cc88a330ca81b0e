"""A layer under dewy through which it touches the world: every step is counted there, and may go wrong there.

Installed, it stands before the functions of the standard library that the core uses for files, sockets, locks and
processes. Only calls of a dewy count: those from a thread that runs in :meth:`Life.lived`, and from the threads in which
its guard calls plugins, which have its context. The test's own calls pass, and so do those outside the test's directory.

Nothing waits for the disk: fsync and syncfs are steps like others, but do nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import io
import os
import re
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from fault_steps import Fault, Killed, Step

_LIFE: ContextVar[Life | None] = ContextVar("_LIFE", default=None)
_VARYING = (
    (re.compile(r"\d{8}T\d{6}(\.\d+)?Z"), "TIME"),
    (re.compile(r"[0-9a-f]{16}"), "HEX"),
    (re.compile(r"shipped_to_.*"), "ENTRY"),
    (re.compile(r":\d{4,5}\b"), ":PORT"),
)

_BY_PATH = {
    "chmod": "dir_fd", "listdir": "", "lstat": "dir_fd", "mkdir": "dir_fd", "open": "dir_fd", "readlink": "dir_fd",
    "rmdir": "dir_fd", "scandir": "", "stat": "dir_fd", "statvfs": "", "truncate": "", "unlink": "dir_fd", "utime": "dir_fd",
}  # fmt: skip
"""Functions of ``os`` whose first argument says where, and what names the directory that it is relative to."""
_BY_DESTINATION = {"link": "dst_dir_fd", "rename": "dst_dir_fd", "replace": "dst_dir_fd", "symlink": "dir_fd"}
"""Those whose second argument does."""
_BY_DESCRIPTOR = ("fchmod", "fstat", "fsync", "ftruncate", "pread", "pwrite", "read", "write")
_BY_SOCKET = ("connect", "recv", "send")


class Life:
    """One dewy, from its start to its end.

    Args:
        directory: Steps below it are counted.
        fault: What happens to it.
        before: Is told of each step before it is taken.
        synced: Is told of every path whose bytes have reached the disk, by fsync, and of None when all have.

    Attributes:
        dead: Whether it was killed: nothing that it does reaches the world any more.
        watched: Whether its steps are counted.
        steps: Those that were.
    """

    def __init__(
        self,
        directory: Path,
        fault: Fault | None = None,
        *,
        before: Callable[[Step], None] = lambda _step: None,
        synced: Callable[[str | None], None] = lambda _path: None,
    ) -> None:
        self.directory, self.fault, self._before, self.synced = str(directory), fault, before, synced
        self.dead, self.watched = False, True
        self.steps: list[Step] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._open: set[int] = set()
        self._gone: set[int] = set()
        self._files: list[io.FileIO] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lived(self) -> Iterator[None]:
        """What is done in the block is done by this dewy."""
        token = _LIFE.set(self)
        try:
            yield
        finally:
            _LIFE.reset(token)

    def check(self) -> None:
        """A dewy that is dead does nothing. Raises Killed."""
        if self.dead:
            raise Killed

    def kill(self) -> None:
        """Ends it as ``kill -9`` does: its descriptors are closed, and with them its locks are gone."""
        with self._lock:
            self.dead = True
            self._gone, self._open = self._open, set()
        for descriptor in self._gone:
            with contextlib.suppress(OSError):
                _REAL["close"](descriptor)
        for file in self._files:
            file.close()

    def take(self, function: str, place: str | None) -> None:
        """Takes a step. Raises what happens there."""
        self.check()
        if place is None or not self.watched:
            return
        with self._lock:
            self._counts[function, place] += 1
            step = Step(function, place, self._counts[function, place])
            self.steps.append(step)
        self._before(step)
        if self.fault:
            self.fault.strike(self, step)
            self.check()  # it was killed while it hung

    def place(self, target: Any, beside: Any = None) -> str | None:
        """Where a path or a descriptor leads to; None outside the directory."""
        if isinstance(target, int):
            path = _path_of(target)
        else:
            path = os.fsdecode(target)
            if isinstance(beside, int) and not path.startswith("/"):
                path = f"{_path_of(beside)}/{path}"
        if path != self.directory and not path.startswith(f"{self.directory}/"):
            return None
        place = path[len(self.directory) + 1 :].removesuffix(" (deleted)") or "."
        for pattern, name in _VARYING:
            place = pattern.sub(name, place)
        return place

    def has(self, file: io.FileIO) -> None:
        """It has a file, which has a descriptor of its own."""
        self._files = [other for other in self._files if not other.closed] + [file]

    def opened(self, descriptor: int) -> int:
        """It has a descriptor."""
        self._open.add(descriptor)
        return descriptor

    def closes(self, descriptor: int) -> bool:
        """It closes one, or gives it away; false when it is dead and the kernel has done so."""
        self._open.discard(descriptor)
        return descriptor not in self._gone


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """What is done in the block is done by no dewy, but by a test that looks on."""
    token = _LIFE.set(None)
    try:
        yield
    finally:
        _LIFE.reset(token)


def _path_of(descriptor: int) -> str:
    try:
        return str(_REAL["readlink"](f"/proc/self/fd/{descriptor}"))
    except OSError:
        return ""


_REAL: dict[str, Callable[..., Any]] = {
    name: getattr(os, name) for name in (*_BY_PATH, *_BY_DESTINATION, *_BY_DESCRIPTOR, "close")
}


def install(patch: pytest.MonkeyPatch) -> None:
    """Puts the layer under dewy, until the patch is undone."""
    for name, beside in _BY_PATH.items():
        patch.setattr(os, name, _at_path(name, 0, beside))
    for name, beside in _BY_DESTINATION.items():
        patch.setattr(os, name, _at_path(name, 1, beside))
    for name in _BY_DESCRIPTOR:
        patch.setattr(os, name, _at_path(name, 0, ""))
    patch.setattr(os, "fsync", _fsync)
    patch.setattr(os, "open", _os_open)
    patch.setattr(os, "close", _os_close)
    patch.setattr(io, "open", _io_open)
    patch.setattr(io, "FileIO", _file_io)
    patch.setattr(fcntl, "flock", _flock)
    patch.setattr(ctypes, "CDLL", _cdll)
    patch.setattr(subprocess, "Popen", _popen)
    for name in _BY_SOCKET:
        patch.setattr(socket.socket, name, _at_socket(name))


def _at_path(name: str, index: int, beside: str) -> Callable[..., Any]:
    real = _REAL[name]

    @functools.wraps(real)
    def call(*arguments: Any, **named: Any) -> Any:
        if life := _LIFE.get():
            target = arguments[index] if len(arguments) > index else "."
            life.take(name, life.place(target, named.get(beside)))
        return real(*arguments, **named)

    return call


def _at_socket(name: str) -> Callable[..., Any]:
    real = getattr(socket.socket, name)

    @functools.wraps(real)
    def call(sock: socket.socket, *arguments: Any) -> Any:
        if life := _LIFE.get():
            try:
                life.take(name, "the web server")
            except OSError:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # a connection that has failed is over
                raise
            except Killed:
                sock.close()  # as the kernel does
                raise
        return real(sock, *arguments)

    return call


def _fsync(descriptor: int) -> None:
    if life := _LIFE.get():
        life.take("fsync", life.place(descriptor))
        life.synced(_path_of(descriptor))


def _is_there(path: Any, beside: int | None) -> bool:
    try:
        _REAL["lstat"](path, dir_fd=beside)
    except OSError:
        return False
    return True


def _os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    life = _LIFE.get()
    if life:
        life.take("create" if flags & os.O_CREAT and not _is_there(path, dir_fd) else "open", life.place(path, dir_fd))
    descriptor: int = _REAL["open"](path, flags, mode, dir_fd=dir_fd)
    return life.opened(descriptor) if life else descriptor


def _os_close(descriptor: int) -> None:
    life = _LIFE.get()
    if life is None or life.closes(descriptor):
        _REAL["close"](descriptor)


def _flock(descriptor: int, operation: int) -> None:
    if life := _LIFE.get():
        life.take("flock", life.place(descriptor))
    _real_flock(descriptor, operation)


def _popen(*arguments: Any, **named: Any) -> Any:
    if life := _LIFE.get():
        life.take("Popen", f"{named['env']['DEWY_HOOK']} hook")
    return _real_popen(*arguments, **named)


class _Libc:
    """The C library, as far as dewy calls it."""

    def syncfs(self, descriptor: int) -> int:
        if life := _LIFE.get():
            try:
                life.take("syncfs", life.place(descriptor))
            except OSError as error:
                ctypes.set_errno(error.errno or 0)
                return -1
            life.synced(None)
        return 0


def _cdll(name: str | None, **named: Any) -> Any:
    return _Libc() if name is None else _real_cdll(name, **named)


class _File(io.FileIO):
    """A file whose reads and writes are steps. Its descriptor is its own to close."""

    def __init__(self, file: Any, mode: str, life: Life) -> None:
        super().__init__(file, mode)
        self._life, self._place = life, life.place(self.fileno())
        life.has(self)

    def read(self, size: int | None = -1, /) -> Any:
        self._life.take("read", self._place)
        return super().read(-1 if size is None else size)

    def readall(self) -> bytes:
        self._life.take("read", self._place)
        return super().readall()

    def readinto(self, buffer: Any, /) -> Any:
        self._life.take("read", self._place)
        return super().readinto(buffer)

    def write(self, data: Any, /) -> Any:
        self._life.take("write", self._place)
        return super().write(data)


def _file_io(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> io.FileIO:
    life = _LIFE.get()
    if not (life and isinstance(file, int) and life.place(file) is not None):
        return _real_file_io(file, mode, *arguments, **named)
    life.closes(file)  # it goes with the file from here on
    return _File(file, mode, life)


def _io_open(file: Any, mode: str = "r", buffering: int = -1, *arguments: Any, **named: Any) -> Any:
    life = _LIFE.get()
    place = life.place(file) if life and not isinstance(file, int) else None
    if life is None or place is None:
        return _real_io_open(file, mode, buffering, *arguments, **named)
    life.take("create" if set(mode) & set("wax+") else "open", place)
    raw = _File(file, mode.replace("b", "").replace("t", ""), life)
    buffered = io.BufferedWriter(raw) if raw.writable() else io.BufferedReader(raw)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, *arguments, **named)


_real_flock, _real_popen, _real_cdll = fcntl.flock, subprocess.Popen, ctypes.CDLL
_real_file_io, _real_io_open = io.FileIO, io.open
