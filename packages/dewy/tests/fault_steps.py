"""Steps of a dewy into the world, and what may go wrong at one of them. See :mod:`fault_layer`."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["kill", "ENOSPC", "EIO", "EACCES", "hang"]
KINDS: tuple[Kind, ...] = ("kill", "ENOSPC", "EIO", "EACCES", "hang")

_PATIENCE = 60.0

CHANGES = frozenset(
    ("chmod", "mkdir", "rmdir", "truncate", "unlink", "utime", "link", "rename", "replace", "symlink", "fchmod", "ftruncate",
     "pwrite", "write", "create", "Popen", "connect", "send")
)  # fmt: skip
"""What leaves the world another one: a dewy that is killed before any other step leaves it as before the next of these."""
SYNCS = frozenset(("fsync", "syncfs"))
"""What changes nothing but what a power cut leaves."""
TAKES_SPACE = frozenset(
    (*SYNCS, "mkdir", "truncate", "link", "rename", "replace", "symlink", "ftruncate", "pwrite", "write", "create")
)
"""What a full disk refuses."""
_NAMES = frozenset(
    ("chmod", "listdir", "lstat", "mkdir", "open", "readlink", "rmdir", "scandir", "stat", "statvfs", "truncate", "unlink",
     "utime", "link", "rename", "replace", "symlink", "create", "Popen", "connect")
)  # fmt: skip
"""What permissions can forbid."""


class Mortal(Protocol):
    """Who takes steps."""

    def kill(self) -> None:
        """Ends it as ``kill -9`` does."""


class Killed(BaseException):
    """The dewy that takes this step is no more."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a dewy into the world.

    Attributes:
        function: Which: its name in the standard library, or ``create`` for opening what is written to.
        place: On what, relative to the test's directory, with what is random or of the time replaced.
        nth: The how many-th such step it is, from 1.
    """

    function: str
    place: str
    nth: int

    def __str__(self) -> str:
        return f"{self.function} {self.place} #{self.nth}"

    def suffers(self, kind: Kind) -> bool:
        """Whether such a thing happens to such a step."""
        if kind == "ENOSPC":
            return self.function in TAKES_SPACE
        return kind != "EACCES" or self.function in _NAMES


class Fault:
    """What happens at one step, and from then on if it lasts, until it is lifted.

    Args:
        kind: A signal, an error number or a call that does not return.
        step: When.
        lasting: Whether every later step that takes space fails alike.

    Attributes:
        struck: Whether it has happened.
        thread: The one that it has happened in.
    """

    def __init__(self, kind: Kind, step: Step, *, lasting: bool = False) -> None:
        self.kind, self.step, self.lasting = kind, step, lasting
        self.struck, self.thread = threading.Event(), threading.current_thread()
        self._lifted = threading.Event()

    def __str__(self) -> str:
        return f"{self.kind}{' from then on' if self.lasting else ''} at {self.step}"

    def lift(self) -> None:
        """It is over."""
        self._lifted.set()

    def strike(self, life: Mortal, step: Step) -> None:
        """Does its worst, if this is the step."""
        if self._lifted.is_set() or not (step == self.step or self._lasts_for(step)):
            return
        self.thread = threading.current_thread()
        self.struck.set()
        if self.kind == "kill":
            life.kill()
            raise Killed
        if self.kind == "hang":
            assert self._lifted.wait(_PATIENCE), f"{step} hangs, and the test has forgotten it"
            return
        number = getattr(errno, self.kind)
        raise OSError(number, os.strerror(number), step.place)

    def _lasts_for(self, step: Step) -> bool:
        return self.lasting and self.struck.is_set() and step.function in TAKES_SPACE
