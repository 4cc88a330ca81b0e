"""What this host runs, has tried and holds: local truth, never read from a shared store. Pure.

:mod:`dewy.statefile` keeps it on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from dewy.types import Release
from dewy.versions import same_tag

__all__ = ["Deployed", "Held", "Pending", "PendingKind", "Phase", "State"]

PendingKind = Literal["deployment", "rollback", "retreat"]
"""Forth to a new release; back to one that an operator has asked for; back from one that has failed, as far as need be."""

Phase = Literal["prepared", "switching", "failed", "baking", "finishing"]
"""How far a deployment has come: the before-hooks have agreed; ``current`` is about to lead, or leads, to a release that is
not proven; it has failed and ``current`` goes back; it serves, and is watched; it is done but for its after-hooks and the
report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One release on disk that has run here.

    Attributes:
        version: Its tag.
        artifact: The artifact's file name.
        url: Where it came from, without secrets.
        digest: Of the artifact as it arrived, ``sha256:HEX``.
        fingerprint: What the registry's listing stated, to notice other bytes under the same tag.
        directory: The name of its release directory.
        at: When it was deployed, ISO 8601, UTC.
        id: The registry's own name for its answer.
        says_ready: Whether it says when it is ready (sd_notify); None while nobody knows.
    """

    version: str
    artifact: str
    url: str
    digest: str
    directory: str
    at: str
    fingerprint: str | None = None
    id: str = ""
    says_ready: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A version that must not be tried again, by its bytes.

    Attributes:
        version: Its tag.
        digest: Of the artifact as it arrived; empty for whatever bytes it has.
        fingerprint: What the registry's listing stated.
        reason: Why.
        at: Since when, ISO 8601, UTC.
    """

    version: str
    digest: str
    reason: str
    at: str
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A deployment that is under way, so that a dewy which is killed knows where it was.

    Attributes:
        deployed: What it will be when it is done.
        phase: How far it has come.
        kind: Whether it goes to a new release or back to one that was there.
    """

    deployed: Deployed
    phase: Phase
    kind: PendingKind = "deployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that dewy knows about this host.

    Attributes:
        current: What runs; None before the first deployment.
        releases: What has run and is still on disk, newest first, ``current`` included.
        held: Versions on hold.
        pending: The deployment under way.
        prepared: A deployment that ended with a dewy that was killed, and whose before-hooks had agreed: they are not asked
            again.
        speaks_notify: Whether the application has been seen to say when it is ready.
        named: The directory of the newest deployment whose before-hooks were asked: no other deployment has it ever again.
    """

    current: Deployed | None = None
    releases: tuple[Deployed, ...] = ()
    held: tuple[Held, ...] = ()
    pending: Pending | None = None
    prepared: Deployed | None = None
    speaks_notify: bool = False
    named: str = ""

    def deployed(self, done: Deployed) -> State:
        """The state when a release runs: it is current, and the newest of those on disk."""
        others = tuple(release for release in self.releases if release.directory != done.directory)
        return replace(self, current=done, releases=(done, *others))

    def hold(self, held: Held) -> State:
        """The state with one more version on hold, beside other bytes under the same tag that are."""
        others = (
            other for other in self.held
            if not same_tag(other.version, held.version) or held.digest not in ("", other.digest)
        )  # fmt: skip
        return replace(self, held=(held, *others)[:_MOST_HELD])

    def unhold(self, version: str) -> State:
        """The state with no hold on a version."""
        return replace(self, held=tuple(held for held in self.held if not same_tag(held.version, version)))

    def superseded_by(self, done: Deployed) -> State:
        """The state with no hold on other bytes under the tag of a release that is proven; an operator's stays."""
        kept = (held for held in self.held if not same_tag(held.version, done.version) or held.digest in ("", done.digest))
        return replace(self, held=tuple(kept))

    def without_hold_on(self, release: Deployed) -> State:
        """The state with no hold on a release that is on disk; other bytes under its tag stay on hold."""
        kept = (
            held for held in self.held
            if not same_tag(held.version, release.version) or held.digest not in ("", release.digest)
        )  # fmt: skip
        return replace(self, held=tuple(kept))

    def holds(self, release: Release) -> Held | None:
        """The hold on these very bytes, as far as the listing tells them; None if there is none."""
        for held in self.held:
            if same_tag(held.version, release.version) and _same_bytes(release, held.fingerprint, held.digest):
                return held
        return None

    def holds_deployed(self, release: Deployed) -> Held | None:
        """The hold on a release that is on disk; None if there is none."""
        for held in self.held:
            if same_tag(held.version, release.version) and held.digest in ("", release.digest):
                return held
        return None

    @staticmethod
    def is_same(deployed: Deployed, release: Release) -> bool:
        """Whether a release is of a version and of its very bytes, as far as the listing tells them."""
        return deployed.version == release.version and _same_bytes(release, deployed.fingerprint, deployed.digest)

    def previous(self, on_disk: Iterable[Deployed]) -> Deployed | None:
        """What a rollback goes back to: what ran last before ``current``, is other bytes, on disk, and not on hold."""
        current = self.current
        if current is None:
            return None
        for release in on_disk:
            same = (release.version, release.digest) == (current.version, current.digest)
            if release.directory != current.directory and not same and not self.holds_deployed(release):
                return release
        return None

    def runs(self, release: Release) -> bool:
        """Whether these very bytes run here, as far as the listing tells them."""
        current = self.current
        return (
            current is not None
            and current.version == release.version
            and _same_bytes(release, current.fingerprint, current.digest)
        )


_MOST_HELD = 1000


def _same_bytes(release: Release, fingerprint: str | None, digest: str) -> bool:
    """False only if the listing says that they are others."""
    stated = [other for other in release.digests if other.partition(":")[0] == digest.partition(":")[0]]
    if stated:
        return digest in stated
    if fingerprint is not None and release.fingerprint is not None:
        return fingerprint == release.fingerprint
    return True
