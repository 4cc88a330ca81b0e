"""What the application prints: passed on to dewy's own output as it is, and its last lines kept for error texts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dewy.supervisor.sockets import lift

__all__ = ["Capture", "Relay", "Tail", "standard_outputs"]

_LINES = 50
_BYTES = 16 * 1024
_READ = 64 * 1024


class Tail:
    """The last lines of what was added: at most 50 of them, and at most 16 KiB. Used from two threads."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._source = -1
        self._lock = threading.Lock()

    def add(self, source: int, chunk: bytes) -> None:
        """Adds what a source wrote; a line that another source has left unfinished ends here."""
        with self._lock:
            if source != self._source and self._kept and not self._kept.endswith(b"\n"):
                self._kept += b"\n"
            self._source = source
            self._kept += chunk[-_BYTES:]
            if len(self._kept) > 2 * _BYTES:
                del self._kept[:-_BYTES]

    def lines(self) -> tuple[str, ...]:
        """The last lines, oldest first, without line ends. A first line that is cut says so."""
        with self._lock:
            kept = bytes(self._kept)
        lines = kept[-_BYTES:].decode(errors="replace").splitlines()
        if len(kept) > _BYTES and lines:
            lines[0] = f"…{lines[0]}"
        return tuple(lines[-_LINES:])


def standard_outputs() -> tuple[int | None, int | None]:
    """The standard output and error of dewy itself, as descriptors; None for one that was closed when dewy was started."""
    return (1 if sys.__stdout__ else None), (2 if sys.__stderr__ else None)


@dataclass(slots=True)
class _Source:
    """One pipe from a generation."""

    descriptor: int
    sink: int
    capture: Capture


class Capture:
    """The two pipes of one generation.

    Args:
        relay: Who passes on what comes.
        floor: The lowest descriptor that the write ends may have: see :func:`dewy.supervisor.sockets.lift`.

    Attributes:
        tail: Its last lines.
        stdout: Write end for the child, to be closed by :meth:`release` once the child has it.
        stderr: The same for its errors.
        ended: Is set when nobody has the write ends any more.
    """

    def __init__(self, relay: Relay, floor: int) -> None:
        with contextlib.ExitStack() as undo:
            out, self.stdout = _pipe(floor, undo)
            error, self.stderr = _pipe(floor, undo)
            undo.pop_all()
        self._begin(relay, (out, error))

    @classmethod
    def adopt(cls, relay: Relay, descriptors: tuple[int, int], lines: Sequence[str]) -> Capture:
        """The pipes of a generation that another dewy has started in this process; -1 for one that has ended."""
        capture = cls.__new__(cls)
        capture.stdout = capture.stderr = -1
        capture._begin(relay, descriptors)
        capture.tail.add(0, "".join(f"{line}\n" for line in lines).encode())
        live = tuple(source for source in capture._sources if source.descriptor >= 0)
        for source in live:
            os.set_inheritable(source.descriptor, False)
        capture._open = len(live)
        if live:
            relay.add(live)
        else:
            capture.ended.set()
        return capture

    def _begin(self, relay: Relay, descriptors: tuple[int, int]) -> None:
        self.tail = Tail()
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._relay = relay
        self._open = 2
        self._sources = (_Source(descriptors[0], 0, self), _Source(descriptors[1], 1, self))

    @property
    def descriptors(self) -> tuple[int, int]:
        """The read ends; -1 for one that has ended."""
        return self._sources[0].descriptor, self._sources[1].descriptor

    def release(self) -> None:
        """Closes dewy's own write ends; what comes from the child's is passed on from now on."""
        os.close(self.stdout)
        os.close(self.stderr)
        self._relay.add(self._sources)

    def close(self) -> None:
        """Ends the passing on. A process that still has a write end meets a closed pipe."""
        if not self.ended.is_set():
            self._relay.remove(self._sources)

    def source_ended(self) -> None:
        """Called by the relay's thread when a pipe has come to its end."""
        self._open -= 1
        if not self._open:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self.ended.set)


def _pipe(floor: int, undo: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose write end is at ``floor`` or above. Raises OSError."""
    reader, writer = os.pipe()
    undo.callback(os.close, reader)
    writer = lift(writer, floor)
    undo.callback(os.close, writer)
    return reader, writer


class Relay:
    """One thread that passes the output of all generations on. It sleeps while nothing is printed.

    When dewy's own output is not taken the application is held up by its full pipe, as it would be without dewy; the
    main thread never is. When it is closed, the application's output is read and dropped.

    Args:
        sinks: Where standard output and standard error go; None drops them.
    """

    def __init__(self, sinks: tuple[int | None, int | None]) -> None:
        self._sinks = list(sinks)
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._jobs: list[tuple[Callable[[tuple[_Source, ...]], None], tuple[_Source, ...]]] = []
        self._lock = threading.Lock()
        self._done = False
        self._resting, self._resume = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="output of the application", daemon=True)
        self._thread.start()

    def add(self, sources: tuple[_Source, ...]) -> None:
        """Takes pipes on."""
        self._ask(self._register, sources)

    def remove(self, sources: tuple[_Source, ...]) -> None:
        """Gives pipes up and closes them."""
        self._ask(self._drop, sources)

    def close(self, timeout: float) -> None:
        """Ends the thread. One that hangs in a write that nobody takes is left behind after ``timeout`` seconds."""
        self._ask(self._finish, ())
        self._thread.join(timeout)

    def pause(self, timeout: float) -> bool:
        """Has the thread read nothing more until :meth:`go_on`; whether it has come to rest within ``timeout`` seconds.

        What it has read by then it has passed on.
        """
        self._resume.clear()
        self._resting.clear()
        self._ask(self._rest, ())
        return self._resting.wait(timeout)

    def go_on(self) -> None:
        """Has the thread go on."""
        self._resume.set()

    def _ask(self, job: Callable[[tuple[_Source, ...]], None], sources: tuple[_Source, ...]) -> None:
        with self._lock:
            self._jobs.append((job, sources))
        with contextlib.suppress(OSError):  # it is being woken already, or has ended
            self._wake.send(b"x")

    # ------------------------------------------------------------------------------------------ in the relay's thread

    def _run(self) -> None:
        while not self._done:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._take_jobs()
                else:
                    self._pass_on(key.data)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _take_jobs(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        with self._lock:
            jobs, self._jobs = self._jobs, []
        for job, sources in jobs:
            job(sources)

    def _register(self, sources: tuple[_Source, ...]) -> None:
        for source in sources:
            self._selector.register(source.descriptor, selectors.EVENT_READ, source)

    def _drop(self, sources: tuple[_Source, ...]) -> None:
        for source in sources:
            if source.descriptor >= 0:
                self._selector.unregister(source.descriptor)
                os.close(source.descriptor)
                source.descriptor = -1

    def _rest(self, _sources: tuple[_Source, ...]) -> None:
        self._resting.set()
        self._resume.wait()

    def _finish(self, _sources: tuple[_Source, ...]) -> None:
        self._drop(tuple(key.data for key in self._selector.get_map().values() if key.data))
        self._done = True

    def _pass_on(self, source: _Source) -> None:
        if source.descriptor < 0:
            return  # given up by a job of this same round
        try:
            chunk = os.read(source.descriptor, _READ)
        except OSError:
            chunk = b""
        if not chunk:
            self._drop((source,))
            source.capture.source_ended()
            return
        source.capture.tail.add(source.sink, chunk)
        self._write(source.sink, chunk)

    def _write(self, sink: int, chunk: bytes) -> None:
        """Writes all of it. A sink that is closed or broken is given up for good."""
        rest = memoryview(chunk)
        while rest and (descriptor := self._sinks[sink]) is not None:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                select.select([], [descriptor], [])  # somebody has made the shared terminal or pipe non-blocking
            except OSError:
                self._sinks[sink] = None
