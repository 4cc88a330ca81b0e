"""When to ask again: retries that back off, and the pauses that servers ask for (R30). Clocks are passed in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dewy.http.errors import HttpError
from dewy.http.headers import date_of, whole_number

__all__ = ["Limits", "Pauses", "Retries", "asked_pause"]

_LONGEST_PAUSE = 3600.0
"""Seconds. Real limits are reset within the hour; who asks for a year is asked again after that."""

_UNIX_TIME = 1_000_000_000
"""Resets come as Unix time or as seconds from now, under the same names; no pause is this long."""

_MOST_PAUSES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long each step may take, in seconds, and how much there may be.

    Attributes:
        connect: For a connection, from the name's resolution to the end of the TLS handshake; each of these two.
        silence: Between two pieces of an answer.
        total: For a call in full, its retries and waits included. A download has no such limit.
        stall: For a download that hardly moves, before it counts as cut.
        connections: At most in use at the same time, to all hosts.
        idle: An unused connection is kept this long.
    """

    connect: float = 10.0
    silence: float = 20.0
    total: float = 60.0
    stall: float = 30.0
    connections: int = 20
    idle: float = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How failures that may pass are tried again: exponential back-off with full jitter.

    Attributes:
        tries: At most, the first included.
        first: Seconds, the upper bound of the first pause; it doubles with each try.
        longest: Seconds, the upper bound of any pause.
        patience: Seconds that a call waits when the server asks for a pause; for a longer one it fails at once.
    """

    tries: int = 4
    first: float = 0.5
    longest: float = 8.0
    patience: float = 30.0

    def pause(self, attempt: int, error: HttpError, jitter: float) -> float | None:
        """Seconds until the next try; None when there should be none.

        Args:
            attempt: How many have failed, from 1.
            error: Why the last one did.
            jitter: Random, from 0 to 1.
        """
        if not error.transient or attempt >= self.tries:
            return None
        own = jitter * min(self.longest, self.first * 2.0 ** (attempt - 1))
        if error.retry_after is None:
            return own
        # The jitter comes on top: a fleet that was told one time must not come back in one instant.
        return error.retry_after + own if error.retry_after <= self.patience else None


def asked_pause(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds for which an answer asks not to be called; None when it does not.

    ``Retry-After`` of a failure (RFC 9110, 10.2.3), else a used-up limit: ``X-RateLimit-Remaining: 0`` with
    ``X-RateLimit-Reset``, or the same without ``X-``. Times are held against the server's own clock where it tells it.

    Args:
        status: The answer's.
        headers: The answer's.
        now: The time here, for a server that does not tell its own.
    """
    served = (date_of(headers.get("date")) or now).timestamp()
    pause = _retry_after(headers.get("retry-after"), served) if status >= 400 else None
    if pause is None:
        pause = _until_reset(headers, served)
    return None if pause is None or pause <= 0 else min(pause, _LONGEST_PAUSE)


def _retry_after(text: str | None, served: float) -> float | None:
    seconds = whole_number(text)
    if seconds is not None:
        return float(seconds)
    date = date_of(text) if text else None
    return date.timestamp() - served if date else None


def _until_reset(headers: Mapping[str, str], served: float) -> float | None:
    for prefix in ("x-ratelimit-", "ratelimit-"):
        reset = whole_number(headers.get(f"{prefix}reset"))
        if whole_number(headers.get(f"{prefix}remaining")) == 0 and reset is not None:
            return reset - served if reset >= _UNIX_TIME else float(reset)
    return None


class Pauses:
    """Who asked not to be called, and until when. Limits are counted by credentials, so the key has both.

    Args:
        monotonic: The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._until: dict[object, float] = {}

    def begin(self, key: object, seconds: float) -> None:
        """From now on for so long."""
        now = self._monotonic()
        with self._lock:
            self._until = {other: until for other, until in self._until.items() if until > now}
            if len(self._until) < _MOST_PAUSES:
                self._until[key] = max(now + seconds, self._until.get(key, 0.0))

    def left(self, key: object) -> float:
        """Seconds still to wait; 0 when there is no pause."""
        with self._lock:
            return max(0.0, self._until.get(key, 0.0) - self._monotonic())
