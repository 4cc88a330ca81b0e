"""One download for the fleet: the first host fetches and publishes, those that come meanwhile wait, with a bound (R42)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from dewy.errors import CacheError
from dewy.events import ARTIFACT_AWAITED, Emit
from dewy.sharing.claims import Claims
from dewy.types import Release
from dewy.waker import Waker

__all__ = ["Downloads"]

_PATIENCE = 300.0
"""Seconds that a host waits for another one's download at most."""


class Downloads:
    """Whose turn it is to download.

    Args:
        claims: Decide it.
        waker: How to wait.
        emit: Is told that this host waits.
    """

    def __init__(self, claims: Claims, waker: Waker, emit: Emit) -> None:
        self._claims, self._waker, self._emit = claims, waker, emit

    @contextmanager
    def turn(self, key: str, release: Release) -> Iterator[None]:
        """Enters the block when this host may download; by then the artifact may be there.

        That is: at once if nobody else does; when another host is done; when it has died and this host has taken over; or
        when it takes too long. A download that ended without the artifact being there is not waited for again: hosts then
        go on side by side.
        """
        with ExitStack() as stack:
            with suppress(CacheError):  # said by who keeps an eye on the cache; this host goes on without it
                self._await_turn(f"download {key}", release, stack)
            yield

    def _await_turn(self, claim: str, release: Release, stack: ExitStack) -> None:
        deadline = self._waker.monotonic() + _PATIENCE
        waited = False
        while (left := deadline - self._waker.monotonic()) > 0:
            if stack.enter_context(self._claims.held(claim)):
                return
            if not waited:
                waited = True
                self._emit(ARTIFACT_AWAITED, artifact=release.artifact, version=release.version, seconds=round(left))
            if self._claims.wait(claim, left) != "dead":
                return
