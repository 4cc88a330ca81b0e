"""What time a shared cache goes by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Clocks"]


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks of a host.

    Attributes:
        wall: Seconds since 1970. Hosts' clocks differ: nothing is decided by it alone.
        monotonic: Seconds, of this process.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
