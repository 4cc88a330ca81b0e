"""One question to the registry for all hosts that share a cache (R43).

Of the hosts that find the last answer too old, one claims the question and asks; the others wait for its answer, for a bound
time. How old an answer is each host knows from its own clock: since it has first seen it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from dewy.backoff import backoff, retry_after
from dewy.errors import CacheError, DewyError, RegistryError, ReleasePending
from dewy.events import REGISTRY_FRESH, REGISTRY_RECOVERED, REGISTRY_STALE, REGISTRY_STALE_LONG, Emit
from dewy.keyvalue.sightings import Sightings
from dewy.sharing.answers import Answer, digest_of_release, read_answer, write_answer
from dewy.sharing.claims import Claims
from dewy.sharing.values import SharedValues
from dewy.types import Platform, Registry, Release, Report

__all__ = ["SharedRegistry", "Sharing"]

_PATIENCE = 20.0
"""Seconds that a host waits for another one's answer before it uses the last one."""
_LONGEST_PAUSE = 300.0
"""Seconds between two questions to a registry that fails, at most (R30), unless it asks for more itself."""
_LONGEST_QUESTION = 120.0
"""Seconds after which a question hangs: another host asks then, though the one that has asked is alive."""
_LONGEST_ANSWER = 3600.0
"""Seconds that an answer serves at most, whatever the store says, unless the time to live is longer: a wrong store must
not hold a host at one version for ever."""
_TOLD_AFTER = 300.0
"""Seconds of failing after which people are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What a shared registry works with.

    Attributes:
        values: Where answers are.
        claims: Who asks.
        identity: What the answer is to: see :func:`dewy.sharing.identity.registry_identity`.
        ttl: Seconds for which an answer is good.
        resolve: Makes a release complete for hosts that do not ask themselves: what checksum files state of it.
        emit: Is told when the last answer has to serve, and when a new one is there.
        monotonic: The clock, in seconds.
    """

    values: SharedValues
    claims: Claims
    identity: str
    ttl: float
    resolve: Callable[[Release], Release]
    emit: Emit
    monotonic: Callable[[], float]


class SharedRegistry:
    """The :class:`dewy.types.Registry` whose answers hosts share. Without the cache it asks by itself (R44).

    Args:
        upstream: The registry.
        sharing: What it works with.
    """

    def __init__(self, upstream: Registry, sharing: Sharing) -> None:
        self._upstream, self._sharing = upstream, sharing
        self._values, self._claims = sharing.values, sharing.claims
        self._key = f"answers/{sharing.identity}"
        self._claim = f"answer {sharing.identity}"
        self._longest = max(_LONGEST_ANSWER, sharing.ttl)
        self._sightings = Sightings(sharing.monotonic)
        self._stale_since: float | None = None
        self._failures, self._told = 0, False

    def current(self, platform: Platform) -> Release:
        """What this platform should run, at most so old as the time to live. Raises as the registry does."""
        try:
            answer = self._answer(platform)
        except CacheError:  # said by who keeps an eye on the cache
            return self._upstream.current(platform)
        return self._unfold(answer)

    def report(self, report: Report) -> None:
        """Tells the registry itself: each host has its own to say."""
        self._upstream.report(report)

    # ---------------------------------------------------------------------------------------------- whose turn it is

    def _answer(self, platform: Platform) -> Answer:
        """A good answer: the present one, one's own, or another host's. Raises CacheError, and ReleasePending for none."""
        deadline = self._sharing.monotonic() + _PATIENCE
        while True:
            record = self._values.get(self._key)
            answer = read_answer(record)
            if answer and self._sightings.age(self._key, record) < min(answer.seconds, self._longest):
                return answer
            with self._claims.held(self._claim, _LONGEST_QUESTION) as mine:
                if mine and self._values.get(self._key) == record:
                    return self._ask(platform, record, answer)
            left = deadline - self._sharing.monotonic()
            if not mine and (left <= 0 or self._claims.wait(self._claim, left) == "overtime"):
                return self._last(answer)

    @staticmethod
    def _last(answer: Answer | None) -> Answer:
        if answer is None:
            raise ReleasePending("another host asks the registry for all and has no answer yet")
        return answer

    def _ask(self, platform: Platform, record: bytes | None, last: Answer | None) -> Answer:
        """Asks the registry and stores what it says, for all. Raises CacheError."""
        stamp = secrets.token_hex(8)
        try:
            answer = self._asked(stamp, platform, last)
            new = write_answer(answer)
        except Exception as error:  # a plugin may raise anything: what one host has run into, all need not
            answer = self._failed(stamp, error, last)
            new = write_answer(answer)
        self._sightings.age(self._key, new)
        try:
            stored = self._values.compare_and_set(self._key, record, new)
        except CacheError:
            return answer  # it was had: the others ask again
        return answer if stored else read_answer(self._values.get(self._key)) or answer

    def _asked(self, stamp: str, platform: Platform, last: Answer | None) -> Answer:
        """What the registry says. Raises whatever its plugin raises."""
        ttl = self._sharing.ttl
        try:
            release = self._upstream.current(platform)
        except ReleasePending as pending:
            kept = replace(last, error="", failures=0) if last else Answer(stamp="", seconds=ttl)
            return replace(kept, stamp=stamp, seconds=ttl, pending=str(pending))
        source = digest_of_release(release)
        if last and last.release and last.source == source and not last.release.checksums:
            # its URL may be signed anew; what the checksum files stated is known
            release = replace(release, digests=last.release.digests, checksums=())
        else:
            release = self._sharing.resolve(release)
        return Answer(stamp=stamp, seconds=ttl, release=release, source=source)

    def _failed(self, stamp: str, error: Exception, last: Answer | None) -> Answer:
        """That it gave no answer; what it said last stays."""
        failures = (last.failures if last else 0) + 1
        pause = backoff(failures, first=self._sharing.ttl, most=max(_LONGEST_PAUSE, self._sharing.ttl))
        seconds = min(max(pause, retry_after(error)), self._longest)
        reason = str(error) if isinstance(error, DewyError | OSError) else f"{type(error).__name__}: {error}"
        known = last or Answer(stamp="", seconds=seconds)
        return replace(known, stamp=stamp, seconds=seconds, error=reason or type(error).__name__, failures=failures)

    # ---------------------------------------------------------------------------------------------- what it means here

    def _unfold(self, answer: Answer) -> Release:
        """What an answer says, as a registry says it."""
        if answer.pending and not answer.error:
            self._fresh()
            raise ReleasePending(answer.pending)
        if answer.release is None:
            raise RegistryError(f"a host that asked for all of them got no answer: {answer.error}")
        if answer.error:
            self._stale(answer, answer.release)
        else:
            self._fresh()
        return answer.release

    def _stale(self, answer: Answer, release: Release) -> None:
        now, self._failures = self._sharing.monotonic(), answer.failures
        if self._stale_since is None:
            self._stale_since = now
            self._sharing.emit(REGISTRY_STALE, version=release.version, error=answer.error)
        elif not self._told and now - self._stale_since >= _TOLD_AFTER:
            self._told = True
            self._sharing.emit(
                REGISTRY_STALE_LONG, version=release.version, error=answer.error, failures=answer.failures,
            )  # fmt: skip

    def _fresh(self) -> None:
        if self._stale_since is None:
            return
        if self._told:
            self._sharing.emit(REGISTRY_RECOVERED, failures=self._failures)
        else:
            self._sharing.emit(REGISTRY_FRESH)
        self._stale_since, self._told = None, False
