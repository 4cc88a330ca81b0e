"""The upkeep of a shared cache: each host says what it uses, one of them takes away what nobody does (R45)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from dewy.backoff import jittered
from dewy.errors import CacheError, PluginError
from dewy.guard import Guard
from dewy.sharing.claims import Claims
from dewy.types import TidyingCache
from dewy.waker import Stopping, Waker

__all__ = ["keep_up"]

EVERY = 600.0
"""Seconds between two looks."""
_LIMIT = 300.0
_CLAIM = "upkeep"


def keep_up(
    cache: TidyingCache,
    claims: Claims,
    guard: Guard,
    waker: Waker,
    in_use: Callable[[], Sequence[str]],
    every: float = EVERY,
) -> threading.Thread:
    """Starts the upkeep, in a thread of its own, until dewy stops.

    The host that has the claim keeps it: what grows old is known by who has seen it for long. When it dies, another one
    begins to look.

    Args:
        cache: The cache.
        claims: Decide which host takes away.
        guard: How plugins are called.
        waker: How to wait.
        in_use: Gives the keys that this host needs.
        every: Seconds between two looks.
    """

    def once(*, tidy: bool) -> None:
        keys = in_use()
        guard.call("the cache", "renewing what is in use", lambda: cache.renew(keys), limit=_LIMIT)
        if tidy:
            guard.call("the cache", "tidying", cache.tidy, limit=_LIMIT)

    def run() -> None:
        try:
            while True:
                try:
                    with claims.held(_CLAIM) as mine:
                        for _ in range(100 if mine else 1):
                            waker.pause(jittered(every))
                            once(tidy=mine)
                except (CacheError, PluginError, OSError):
                    waker.pause(jittered(every))  # what is wrong with it is said where it is needed
        except Stopping:
            return

    thread = threading.Thread(target=run, name="upkeep of the cache", daemon=True)
    thread.start()
    return thread
