"""Claims: of all hosts that want to do something for the fleet, one does it, and one that dies is replaced.

A claim is a small value that its holder changes every few seconds. Who waits for it watches on its own clock: a claim that
has not changed for :data:`LIFE` is dead and may be taken. So nobody compares the clocks of two hosts, and the store needs
no time to live.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from dewy.errors import CacheError
from dewy.keyvalue.sightings import Sightings
from dewy.sharing.values import SharedValues
from dewy.waker import Waker

__all__ = ["LIFE", "Claims", "Ending"]

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
        self._beat = _BEAT * life / LIFE
        self._sightings = Sightings(waker.monotonic)
        self._me = secrets.token_hex(8)

    @contextmanager
    def held(self, key: str) -> Iterator[bool]:
        """Holds a claim for the time of the block, if it can be had; whether it was. Signs of life are its own thing."""
        value = self._take(f"claims/{key}")
        if value is None:
            yield False
            return
        holder = _Holder(self, f"claims/{key}", value, self._beat)
        try:
            yield True
        finally:
            holder.release()

    def wait(self, key: str, seconds: float, until: Callable[[], bool] = lambda: False) -> Ending:
        """Waits until another host's claim is given back, its holder dead, or the time over; ends early on ``until``.

        Raises Stopping when dewy stops.
        """
        deadline, key = self._waker.monotonic() + seconds, f"claims/{key}"
        while self._waker.monotonic() < deadline and not until():
            value = self._values.get(key)
            if value is None:
                return "released"
            if self._sightings.age(key, value) >= self._life:
                return "dead"
            self._waker.pause(_LOOK)
        return "overtime"

    def renewed(self, key: str, value: bytes) -> bytes | None:
        """Changes a claim that this process holds; its new value, None if it is another host's by now."""
        new = self._next()
        if self._values.compare_and_set(key, value, new):
            return new
        present = self._values.get(key)  # a change whose answer was lost may have been done
        return present if present is not None and self._mine(present) else None

    def give_back(self, key: str, value: bytes) -> None:
        """Removes a claim that this process holds."""
        if not self._values.compare_and_set(key, value, None):
            present = self._values.get(key)
            if present is not None and self._mine(present):
                self._values.compare_and_set(key, present, None)

    def _take(self, key: str) -> bytes | None:
        """Takes a claim that nobody alive holds; its value, or None."""
        present = self._values.get(key)
        if present is not None and not self._mine(present) and self._sightings.age(key, present) < self._life:
            return None
        value = self._next()
        return value if self._values.compare_and_set(key, present, value) else None

    def _mine(self, value: bytes) -> bool:
        """Whether it is this process's own: one that could not be given back when the store failed."""
        return json.dumps(self._me).encode() in value

    def _next(self) -> bytes:
        return json.dumps({"holder": self._me, "beat": secrets.token_hex(4)}).encode()


class _Holder:
    """Shows that the holder of a claim is alive, in a thread of its own, until it gives the claim back."""

    def __init__(self, claims: Claims, key: str, value: bytes, beat: float) -> None:
        self._claims, self._key, self._value, self._beat = claims, key, value, beat
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"claim {key}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._done.wait(self._beat):
            with suppress(CacheError):  # the next beat may come through; if none does, another host takes over
                renewed = self._claims.renewed(self._key, self._value)
                if renewed is None:
                    return  # another host thought this one dead
                self._value = renewed

    def release(self) -> None:
        """Gives it back; if the store fails, it dies by itself."""
        self._done.set()
        self._thread.join()
        with suppress(CacheError):
            self._claims.give_back(self._key, self._value)
