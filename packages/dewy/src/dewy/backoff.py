"""How long to wait before the next try: exponential, with jitter, bounded. Pure but for the dice, which are passed in."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["backoff", "jittered"]

Dice = Callable[[float, float], float]
"""Like :func:`random.uniform`."""


def backoff(failures: int, *, first: float, most: float, dice: Dice = random.uniform) -> float:
    """Seconds to wait after so many failures in a row (at least 1): ``first`` doubled each time, up to ``most``.

    The wait is spread over the upper half of that time, so that a fleet which failed together does not come back together.
    """
    whole = min(most, first * 2.0 ** min(failures - 1, 60))
    return dice(whole / 2, whole)


def jittered(seconds: float, dice: Dice = random.uniform) -> float:
    """A time a tenth shorter to a tenth longer, so that a fleet does not poll in step (R14)."""
    return dice(seconds * 0.9, seconds * 1.1)
