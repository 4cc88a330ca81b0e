"""The upkeep of a shared cache: each host says what it uses, one of them takes away what nobody does (R45)."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dewy.backoff import jittered
from dewy.errors import DewyError
from dewy.events import DEWY_FAULT, Emit
from dewy.guard import Guard
from dewy.keyvalue.tidying import RENEWALS
from dewy.sharing.claims import Claims
from dewy.types import TidyingCache
from dewy.waker import Stopping, Waker

__all__ = ["Upkeep", "seconds_between_looks"]

_LONGEST = 600.0
"""Seconds between two looks, at most."""
_LIMIT = 300.0
"""Seconds that a cache may take to renew, or to tidy."""
_CLAIM = "upkeep"


def seconds_between_looks(ttl: float | None) -> float:
    """How often to look at a cache in which artifacts stay for so many seconds; None where they stay for ever.

    Twice as often as an artifact is renewed: what was just too young to be renewed is not twice as old at the next look.
    """
    return _LONGEST if ttl is None else min(_LONGEST, ttl / RENEWALS / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """One host's part in keeping a shared cache in order.

    The host that has the claim keeps it: what grows old is known by who has seen it for long. When it dies, another one
    begins to look.

    Attributes:
        cache: The cache.
        claims: Decide which host takes away.
        guard: How plugins are called.
        waker: How to wait.
        emit: Is told of a fault of ours.
        in_use: Gives the keys that this host needs.
        every: Seconds between two looks.
    """

    cache: TidyingCache
    claims: Claims
    guard: Guard
    waker: Waker
    emit: Emit
    in_use: Callable[[], Sequence[str]]
    every: float

    def start(self) -> threading.Thread:
        """Begins it, in a thread of its own, until dewy stops."""
        thread = threading.Thread(target=self._run, name="upkeep of the cache", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            while True:
                self._guarded()
        except Stopping:
            return

    def _guarded(self) -> None:
        """Keeps it up until something goes wrong, or another host tidies. Nothing that goes wrong ends the upkeep."""
        try:
            with self.claims.held(_CLAIM) as claim:
                while True:
                    self.waker.pause(jittered(self.every))
                    self._look(tidy=claim is not None)
                    if claim is None or claim.lost:
                        return
        except (DewyError, OSError):  # what is wrong with it is said where it is needed
            self.waker.pause(jittered(self.every))
        except Exception as error:
            self.emit(
                DEWY_FAULT, error=f"{type(error).__name__}: {error}", retry_seconds=round(self.every),
                traceback=traceback.format_exc(),
            )  # fmt: skip
            self.waker.pause(jittered(self.every))

    def _look(self, *, tidy: bool) -> None:
        keys = self.in_use()
        self.guard.call("the cache", "renewing what is in use", lambda: self.cache.renew(keys), limit=_LIMIT)
        if tidy:
            self.guard.call("the cache", "tidying", self.cache.tidy, limit=_LIMIT)
