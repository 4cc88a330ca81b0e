"""The progress of a download, as a line that a person watches."""

from __future__ import annotations

import time
from collections.abc import Callable

from dewy.sizes import format_size

__all__ = ["ProgressLine"]

_EVERY = 0.1
_WIDTH = 30


class ProgressLine:
    """Turns the many reports of a download into a few updates of one line, which goes away at the end."""

    def __init__(self, show: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._show, self._monotonic = show, monotonic
        self._next = 0.0

    def __call__(self, name: str, size: int, total: int | None) -> None:
        """Reports ``size`` of ``total`` bytes of the artifact ``name``."""
        done = size == total
        now = self._monotonic()
        if now < self._next and not done:
            return
        self._next = now + _EVERY
        self._show("" if done else _line(name, size, total))


def _line(name: str, size: int, total: int | None) -> str:
    if not total:
        return f"{name}  {format_size(size)}"
    filled = min(_WIDTH, _WIDTH * size // total)
    bar = "█" * filled + "░" * (_WIDTH - filled)
    return f"{name}  {bar}  {100 * size // total:3d} %  {format_size(size)} of {format_size(total)}"
