"""Claims: of all hosts that want to do something for the fleet, one does it, and one that dies is replaced.

A claim is a small value that its holder changes every few seconds. Who waits for it watches on its own clock: a claim that
has not changed for :data:`LIFE` is dead and may be taken. So nobody compares the clocks of two hosts, and the store needs
no time to live.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from dewy.errors import CacheError
from dewy.keyvalue.sightings import Sightings
from dewy.sharing.values import SharedValues
from dewy.waker import Stopping, Waker

__all__ = ["LIFE", "Claims", "Ending", "HeldClaim"]

LIFE = 10.0
"""Seconds without a sign of life after which the holder of a claim is dead."""
_BEAT = LIFE / 5
_LOOK = 0.25
"""Seconds between two looks of one who waits."""

Ending = Literal["released", "dead", "overtime"]
"""How waiting for another host's claim ended."""


class Claims:
    """One process's claims. Every method raises CacheError when the store fails.

    Args:
        values: Where they are.
        waker: How to wait.
        life: Seconds without a sign of life after which a holder is dead.
    """

    def __init__(self, values: SharedValues, waker: Waker, life: float = LIFE) -> None:
        self._values, self._waker, self._life = values, waker, life
        self._sightings = Sightings(waker.monotonic)
        self._me = secrets.token_hex(8)

    @contextmanager
    def held(self, key: str, longest: float = math.inf) -> Iterator[HeldClaim | None]:
        """Holds a claim for the time of the block, and shows signs of life meanwhile; None if it could not be had.

        Args:
            key: What is claimed.
            longest: Seconds after which the block hangs: no more signs of life are given, and another host takes over.
        """
        claim = self._take(f"claims/{key}", longest)
        if claim is None:
            yield None
            return
        claim.show_life(_BEAT * self._life / LIFE)
        try:
            yield claim
        finally:
            claim.release()

    def wait(self, key: str, seconds: float) -> Ending:
        """Waits until another host's claim is given back, its holder dead, or the time over. Raises Stopping."""
        deadline, key = self._waker.monotonic() + seconds, f"claims/{key}"
        while self._waker.monotonic() < deadline:
            value = self._values.get(key)
            if value is None:
                return "released"
            if self._sightings.age(key, value) >= self._life:
                return "dead"
            self._waker.pause(_LOOK)
        return "overtime"

    def _take(self, key: str, longest: float) -> HeldClaim | None:
        """Takes a claim that nobody alive holds. This process's own is one that it could not give back, or that hangs."""
        present = self._values.get(key)
        if present is not None and not _is_of(self._me, present) and self._sightings.age(key, present) < self._life:
            return None
        claim = HeldClaim(self._values, key, self._me, self._waker, longest)
        return claim if claim.take(present) else None


class HeldClaim:
    """A claim that this process holds. Shows that its holder is alive, in a thread of its own, until it is given back.

    Args:
        values: Where it is.
        key: Its own.
        holder: Which process this is.
        waker: Tells the time.
        longest: Seconds for which signs of life are given.

    Attributes:
        lost: Whether another one holds it by now, or may take it.
    """

    def __init__(self, values: SharedValues, key: str, holder: str, waker: Waker, longest: float) -> None:
        self._values, self._key, self._holder = values, key, holder
        self._monotonic, self._last_sign = waker.monotonic, waker.monotonic() + longest
        self._token = secrets.token_hex(8)
        self._value = self._next()
        self.lost = False
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, present: bytes | None) -> bool:
        """Takes it in place of one that is dead; whether nobody was quicker. Raises CacheError."""
        return self._values.compare_and_set(self._key, present, self._value)

    def show_life(self, beat: float) -> None:
        """From now on, every ``beat`` seconds."""
        self._thread = threading.Thread(target=self._show_life, args=(beat,), name=f"claim {self._key}", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives it back; if the store fails, it dies by itself."""
        self._done.set()
        if self._thread:
            self._thread.join()
        with suppress(CacheError):
            if not self._values.compare_and_set(self._key, self._value, None):
                present = self._mine()
                if present is not None:
                    self._values.compare_and_set(self._key, present, None)

    def _show_life(self, beat: float) -> None:
        with suppress(Stopping):  # dewy stops, and its signs of life with it
            while not self.lost and not self._done.wait(beat):
                with suppress(CacheError):  # the next sign may come through; if none does, another host takes over
                    self.lost = self._monotonic() >= self._last_sign or not self._renew()

    def _renew(self) -> bool:
        """Changes it; False if it is another one's by now. Raises CacheError."""
        new = self._next()
        present = new if self._values.compare_and_set(self._key, self._value, new) else self._mine()
        self._value = self._value if present is None else present
        return present is not None

    def _mine(self) -> bytes | None:
        """The value that is there, if it is of this claim: a change whose answer was lost may have been done."""
        present = self._values.get(self._key)
        return present if present and _is_of(self._token, present) else None

    def _next(self) -> bytes:
        return json.dumps({"holder": self._holder, "claim": self._token, "beat": secrets.token_hex(4)}).encode()


def _is_of(token: str, value: bytes) -> bool:
    return json.dumps(token).encode() in value
