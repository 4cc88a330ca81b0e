"""How long to wait before the next try: exponential, with jitter, bounded. Pure but for the dice, which are passed in."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["backoff", "jittered", "retry_after"]

_Dice = Callable[[float, float], float]
"""Like :func:`random.uniform`."""
_LONGEST_ASKED = 3600.0
"""Seconds. Real limits are reset within the hour; who asks for a year is asked again after that."""
_DEEPEST = 50
"""Causes that are looked through: an error may be its own cause."""


def backoff(failures: int, *, first: float, most: float, dice: _Dice = random.uniform) -> float:
    """Seconds to wait after so many failures in a row (at least 1): ``first`` doubled each time, up to ``most``.

    The wait is spread over the upper half of that time, so that a fleet which failed together does not come back together.
    """
    whole = min(most, first * 2.0 ** min(failures - 1, 60))
    return dice(whole / 2, whole)


def jittered(seconds: float, dice: _Dice = random.uniform) -> float:
    """A time a tenth shorter to a tenth longer, so that a fleet does not poll in step (R14)."""
    return dice(seconds * 0.9, seconds * 1.1)


def retry_after(error: BaseException | None) -> float:
    """Seconds that the other side asked to wait, from the error or what caused it; 0 when it did not (R30)."""
    for _ in range(_DEEPEST):
        if error is None:
            break
        asked = getattr(error, "retry_after", None)
        if isinstance(asked, int | float) and asked > 0:
            return float(min(asked, _LONGEST_ASKED))
        error = error.__cause__
    return 0.0
