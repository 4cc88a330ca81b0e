"""Hours in a moment: a clock that goes by itself, waits that take no time, and a disk that fails as told, for tests."""

from __future__ import annotations

import errno
import functools
import heapq
import io
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dewy.testing import FakeClock
from dewy.waker import Interrupted, Stopping, Waker

STEP = 0.02
"""Seconds that one step on the disk takes: so other things happen between any two of them."""

_STEPS = ("mkdir", "rmdir", "rename", "replace", "unlink", "remove", "symlink", "link", "write", "fsync", "utime")
_GROWING = {"mkdir": 0, "symlink": 1, "link": 1, "write": 0}
"""Steps that need space, and which of their arguments says where."""


class Killed(BaseException):
    """In place of SIGKILL: no handler of errors sees it, and whatever tidies up afterwards is killed too."""


class Clock(FakeClock):
    """A clock at whose times things happen, in the thread in which time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        """Has something happen."""
        heapq.heappush(self._agenda, (self.monotonic() + seconds, next(self._numbers), what))

    def until_next(self, seconds: float) -> None:
        """Lets time go by until something has happened, at most so many seconds."""
        if self._agenda and self._agenda[0][0] <= self.monotonic() + seconds:
            at, _, what = heapq.heappop(self._agenda)
            self.advance(max(0.0, at - self.monotonic()))
            what()
        else:
            self.advance(seconds)

    def pass_by(self, seconds: float) -> None:
        """Lets time go by, whatever happens meanwhile."""
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0:
            self.until_next(left)

    def forget(self) -> None:
        """Nothing that was to happen happens any more."""
        self._agenda.clear()


class SimulatedWaker(Waker):
    """Waits that let the clock go on at once, but for what another thread works at: that is waited for as ever.

    Args:
        clock: The clock.
        alive: Raises Killed once dewy is dead.
    """

    def __init__(self, clock: Clock, alive: Callable[[], None]) -> None:
        super().__init__(self._monotonic)
        self._clock, self._alive = clock, alive
        self._others = frozenset(threading.enumerate())

    def _monotonic(self) -> float:
        self._alive()
        return self._clock.monotonic()

    def wait_for(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """See :class:`Waker`."""
        deadline = self._monotonic() + seconds
        while True:
            self._alive()
            with self._condition:
                if predicate():
                    return True
                if self._stopped:
                    raise Stopping
                if self._somebody_works():  # and is not left alone with it: or no two runs were the same
                    self._condition.wait(0.001)
                    continue
                if self._ends_waits():
                    raise Interrupted
            if (left := deadline - self._monotonic()) <= 0:
                return False
            self._clock.until_next(left)

    def _somebody_works(self) -> bool:
        return not self._others.issuperset(threading.enumerate())


class Disk:
    """The steps that dewy takes on its disk: counted, and made to fail.

    Args:
        root: Below it the disk fills up.
        clock: Goes on with each step.
        look: Is called before each step: what holds at every instant holds then.

    Attributes:
        steps: So many were taken.
        full: Whether nothing more fits.
        filled: Is called when that begins.
    """

    def __init__(self, root: Path, clock: Clock, look: Callable[[], None]) -> None:
        self._root, self._clock, self._look = str(root), clock, look
        self._runs = self._dead = False
        self._kills: list[int] = []
        self._kill_at: int | None = None
        self._fill: tuple[int, float] | None = None
        self.steps = 0
        self.full = False
        self.filled: Callable[[], None] = lambda: None

    # -------------------------------------------------------------------------------------------------- what is to fail

    def kill_in(self, *steps: int) -> None:
        """dewy is killed before its so-many-th step from now, the next dewy before its so-many-th, and so on."""
        self._kills = list(steps)
        self._arm()

    def fill_in(self, steps: int, seconds: float) -> None:
        """The disk is full from a step on, for a time."""
        self._fill = (self.steps + steps, seconds)

    def fill(self, seconds: float) -> None:
        """The disk is full from now on, for a time."""
        self.full = True
        self._clock.later(seconds, self._free)
        self.filled()

    def heal(self) -> None:
        """Nothing fails any more."""
        self._kills, self._kill_at, self._fill, self.full = [], None, None, False

    def revive(self) -> None:
        """There is a new dewy."""
        self._dead = False
        self._arm()

    def _arm(self) -> None:
        self._kill_at = self.steps + self._kills.pop(0) if self._kills else None

    # ---------------------------------------------------------------------------------------------------- what happens

    @contextmanager
    def watched(self, *, by: bool = True) -> Iterator[None]:
        """In the block it is dewy whose steps these are; or, with ``by=False``, it is not."""
        before, self._runs = self._runs, by
        try:
            yield
        finally:
            self._runs = before

    def alive(self) -> None:
        """Raises Killed once dewy is dead."""
        if self._dead and self._runs:
            raise Killed

    def step(self, what: str, *, place: Callable[[], str] | None = None) -> None:
        """One step, before it is taken; ``place`` says where, if it needs space. Raises Killed or OSError."""
        self.alive()
        self.steps += 1
        self._clock.pass_by(STEP)
        self._look()
        if self._kill_at is not None and self.steps >= self._kill_at:
            self._kill_at, self._dead = None, True
            raise Killed(what)
        if self._fill and self.steps >= self._fill[0]:
            seconds, self._fill = self._fill[1], None
            self.fill(seconds)
        if self.full and place and (where := place()).startswith(self._root):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where)

    def _free(self) -> None:
        self.full = False

    # ------------------------------------------------------------------------------------------------- how it is heard

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Puts itself between dewy and the operating system. Nothing is flushed: no test pulls the plug here."""
        for name in _STEPS:
            patch.setattr(os, name, self._stepping(name, getattr(os, name)))
        patch.setattr(os, "open", self._opening(os.open))
        patch.setattr(io, "open", self._opening_file(io.open))
        patch.setattr(os, "statvfs", self._statvfs(os.statvfs))
        patch.setattr("dewy.releases.sync_file_system", self._stepping("syncfs", lambda _path: None))

    def _stepping(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        argument = _GROWING.get(name)

        @functools.wraps(real)
        def call(*arguments: Any, **named: Any) -> Any:
            if self._runs:
                place = None if argument is None else functools.partial(_new_place, arguments[argument], named)
                self.step(name, place=place)
            return None if name == "fsync" else real(*arguments, **named)

        return call

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if self._runs and flags & os.O_CREAT:
                self.step("open", place=functools.partial(_new_place, path, {"dir_fd": dir_fd}))
            return real(path, flags, mode, dir_fd=dir_fd)

        return call

    def _opening_file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if self._runs and set(mode) & set("wxa"):
                self.step("open", place=functools.partial(_new_place, file, {}))
            return real(file, mode, *arguments, **named)

        return call

    def _statvfs(self, real: Callable[..., Any]) -> Callable[..., Any]:
        none_left = SimpleNamespace(f_bavail=0, f_frsize=4096, f_files=10, f_favail=5)
        return lambda path: none_left if self.full else real(path)


def _new_place(path: Any, named: dict[str, Any]) -> str:
    """Where a step needs space: of an open file, or of a name that is not there yet; empty for one that is."""
    if isinstance(path, int):
        return str(Path(f"/proc/self/fd/{path}").readlink())
    directory = named.get("dir_fd", named.get("dst_dir_fd"))
    folder = Path(f"/proc/self/fd/{directory}").readlink() if directory is not None else Path()
    place = folder / path
    return "" if os.path.lexists(place) else str(place)
