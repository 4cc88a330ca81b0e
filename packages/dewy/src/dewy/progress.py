"""The progress of a download, as a line that a person watches."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["ProgressLine", "format_bytes"]

_EVERY = 0.1
_WIDTH = 30


def format_bytes(size: int) -> str:
    """A number of bytes for people: ``512 B``, ``12.3 MiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


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
        return f"{name}  {format_bytes(size)}"
    filled = min(_WIDTH, _WIDTH * size // total)
    bar = "█" * filled + "░" * (_WIDTH - filled)
    return f"{name}  {bar}  {100 * size // total:3d} %  {format_bytes(size)} of {format_bytes(total)}"
