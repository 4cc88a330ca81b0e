"""What must hold on a host, from what is published and asked for, what processes do and what dewy says, for tests.

It knows nothing of how dewy decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dewy import events
from dewy.events import EventKind
from dewy.state import State
from dewy.statefile import StateFile
from dewy.types import Deployment, FieldValue
from simulated_host import Host
from simulated_processes import Build

WINDOW, MOST_ATTEMPTS = 600.0, 6
"""So many deployments are begun in so many seconds at most where nothing happens that calls for one."""
MOST_SWAPS = 12
"""So many versions are started at most between two looks at the registry."""
KEPT = 3


@dataclass(slots=True)
class Ban:
    """What is known of a version that must not be started, with these bytes; or with any, where there is no digest."""

    on_disk: bool = False
    superseded: bool = False


@dataclass(slots=True)
class Attempt:
    """A deployment under way."""

    version: str
    replaces: bool
    failed: set[str] = field(default_factory=set)
    full: bool = False
    went_back: bool = False


class Model:
    """What must hold, from what is published and asked for, what processes do and what dewy says. Knows nothing of dewy."""

    def __init__(self) -> None:
        self.host: Host
        self.offers: dict[str, Build | None] = {}
        self.good: set[str] = set()
        self.bans: dict[tuple[str, str], Ban] = {}
        self.named: set[str] = set()
        self.lifted: set[tuple[str, str]] = set()
        self.put_there: set[str] = set()
        self.sent_to: set[str] = set()
        self.left_by_hand: set[str] = set()
        self.was_full = self.trouble = False
        self.left: set[str] = set()
        self.let_go: set[str] = set()
        self.own_faults: set[str] = set()
        self.hooks: set[tuple[str, str]] = set()
        self.swaps = 0
        self.begun: list[float] = []
        self.attempt: Attempt | None = None

    # ------------------------------------------------------------------------------------------------ what is witnessed

    def heard(self, kind: EventKind, fields: dict[str, FieldValue]) -> None:
        """dewy has said something."""
        version, digest = str(fields.get("version", "")), str(fields.get("digest", ""))
        if kind is events.DEWY_READY:
            self.trouble = True
            self.disturbed()  # a new dewy does not know what has failed for its surroundings' sake
        elif kind is events.DEWY_FAULT:
            self.host.blame(f"a fault of dewy: {fields['error']}\n{fields['traceback']}")
        elif kind is events.DEPLOYMENT_STARTED:
            self._begin(version, replaces=fields["previous_version"] != "nothing")
        elif kind is events.VERSION_HELD:
            self._held(version, digest, str(fields["reason"]))
        elif kind is events.ROLLBACK_DONE:
            self._went_back((version, digest), str(fields["reason"]), str(fields["previous_version"]))
        elif kind is events.DEPLOYMENT_FAILED:
            self._failed(version, digest, str(fields["phase"]))
        elif kind is events.DEPLOYMENT_DONE:
            self._done(digest)

    def started(self, build: Build, how: str) -> None:
        """A process is started."""
        if how not in ("swap", "preflight"):
            return
        self.swaps += 1
        if self.swaps > MOST_SWAPS:
            self.host.blame(f"one version after the other is started, and it does not end: {build.version}")
            self.host.disk.kill_in(0)
        if self._is_banned(build) and build.version not in self.named:
            self.host.blame(f"{how} of {build.version} ({build.digest[:15]}), which is on hold")
        if self.offers.get(build.version) is build:
            for (version, digest), ban in self.bans.items():
                ban.superseded = ban.superseded or (version == build.version and digest not in ("", build.digest))

    def _is_banned(self, build: Build) -> bool:
        bans = {banned: self.bans.get(banned) for banned in ((build.version, build.digest), (build.version, ""))}
        return any(ban and not self._is_unsure(banned, ban) for banned, ban in bans.items())

    def failed(self, build: Build) -> None:
        """A process was no good."""
        if self.attempt:
            self.attempt.failed.add(build.digest)
            self.attempt.full = self.attempt.full or self.host.disk.full
        if not self.host.disk.full:
            self.own_faults.add(build.digest)

    def hooked(self, phase: str, deployment: Deployment) -> None:
        """A hook runs."""
        # an operator may go back from one deployment again and again
        if (phase, deployment.id) in self.hooks and not (phase == "rollback" and deployment.version in self.left_by_hand):
            self.host.blame(f"the {phase} hook of {deployment.version} ran twice for {deployment.id}")
        self.hooks.add((phase, deployment.id))

    def _went_back(self, to: tuple[str, str], reason: str, left: str) -> None:
        if self.attempt:
            self.attempt.went_back = True
        if reason.startswith("alice") or "in the middle" in reason:
            self.lifted.add(to)
            self.put_there.add(to[1])
            self.left_by_hand.add(left)

    def _begin(self, version: str, *, replaces: bool) -> None:
        now = self.host.clock.monotonic()
        self.attempt = Attempt(version, replaces)
        self.begun = [*(at for at in self.begun if at > now - WINDOW), now]
        if len(self.begun) > MOST_ATTEMPTS:
            self.host.blame(f"a loop: {version} is deployed again and again, at {self.begun}")

    def _held(self, version: str, digest: str, reason: str) -> None:
        if not reason.startswith("alice") and digest not in self.own_faults:
            self.host.blame(f"{version} is held, and it was not its fault: {reason}")
        if not digest:
            self.bans = {banned: ban for banned, ban in self.bans.items() if banned[0] != version}
        self.bans[version, digest] = Ban()

    def _failed(self, version: str, digest: str, phase: str) -> None:
        attempt, self.attempt = self.attempt, None
        if attempt is None or attempt.failed != {digest} or attempt.full or self.host.disk.full:
            return
        to_go_back_to = attempt.went_back if phase == "bake" else attempt.replaces
        if (
            phase in ("preflight", "start", "bake")
            and to_go_back_to
            and self.bans.keys().isdisjoint({(version, digest), (version, "")})
        ):
            self.host.blame(f"{version} has failed in {phase} by its own fault, and is not held")

    def _done(self, digest: str) -> None:
        self.attempt = None
        if not self.is_good(digest):
            self.host.blame(f"{digest} is deployed, and it is no good")

    # -------------------------------------------------------------------------------------------------- what is asked

    def disturbed(self) -> None:
        """Something has happened that calls for deployments."""
        self.begun.clear()

    def unheld(self, version: str) -> None:
        """An operator has lifted a hold."""
        self.let_go.add(version)
        for banned in [each for each in self.bans if each[0] == version]:
            del self.bans[banned]
            self.own_faults.discard(banned[1])

    def is_good(self, digest: str) -> bool:
        """Whether a build runs, and goes on running."""
        checked = bool(self.host.settings.health_command)
        natures = ("good", "thirsty") if checked else ("good", "thirsty", "sick", "turning")
        return any(build.digest == digest and build.nature in natures for build in self.host.builds.values())

    def newest(self) -> Build | None:
        """What should run; None where nobody can say."""
        if not self.offers:
            return None
        build = self.offers[max(self.offers, key=order_of)]
        return build if build and build.digest in self.good and self.is_good(build.digest) else None

    # --------------------------------------------------------------------------------------------------- what must hold

    def check(self) -> None:
        """After each turn of dewy's."""
        host, self.swaps = self.host, 0
        if host.up and not host.disk.full and not self.was_full:
            self._check_bans(host.pipeline.state, saved=not host.pipeline.stage.keeper._unsaved)
            self._check_current(host.pipeline.state)
            if not host.pipeline.state.pending:
                self.named.clear()
                self.lifted.clear()
            self.trouble = False
        self.was_full = host.disk.full
        self.trouble = self.trouble or host.disk.full
        if host.violations:
            said = [text for text in host.said.texts() if "skip, " not in text]
            raise AssertionError("\n".join([*host.violations, "what was said last:", *said[-40:]]))

    def _check_current(self, state: State) -> None:
        host, serving = self.host, self.host.processes.serving
        if serving and serving.directory != (state.current and state.current.directory):
            host.blame(f"{serving.directory} serves, and the state says {state.current}")
        build = host.current_build()
        if state.current and (
            build is None or (build.version, build.digest) != (state.current.version, state.current.digest)
        ):
            host.blame(f"current leads to {build}, and the state says {state.current}")
        if serving and host.processes.runs is not build:
            host.blame(f"{host.processes.runs} serves, and current leads to {build}")

    def _check_bans(self, state: State, *, saved: bool) -> None:
        held = {(each.version, each.digest) for each in state.held}
        for banned, ban in list(self.bans.items()):
            if banned in held:
                ban.on_disk = ban.on_disk or saved
            elif ban.superseded or banned in self.lifted or self._is_unsure(banned, ban):
                del self.bans[banned]
            else:
                self.host.blame(f"{banned} is not held any more, and nobody has asked for that")
        for version, digest in held - self.bans.keys():
            killed_in_between = self.trouble and digest in self.own_faults
            if version not in self.left and not killed_in_between:
                self.host.blame(f"{version} is held, and nobody has said so")
            self.bans[version, digest] = Ban()

    def _is_unsure(self, banned: tuple[str, str], ban: Ban) -> bool:
        """Whether a hold may be gone: dewy was killed before it was written, or in the midst of lifting it."""
        version, digest = banned
        return (self.trouble and not ban.on_disk) or (version in self.named and (self.trouble or not digest))

    def check_settled(self) -> None:
        """When nothing has happened for long."""
        host, state = self.host, self.host.pipeline.state
        if state.pending:
            host.blame(f"{state.pending} is not over")
        if leftovers := host.leftovers():
            host.blame(f"left over: {leftovers}")
        for name in host.releases():
            host.build_in(name)
        if len(host.releases()) > KEPT + 2:
            host.blame(f"{len(host.releases())} releases on disk")
        if (on_disk := StateFile(host.settings.state_directory, host.said).load()) != state:
            host.blame(f"the state is {state}, and on disk it is {on_disk}")
        self._check_newest(state)
        self._check_service(state)
        self._check_journal(state)
        self.check()

    def _check_newest(self, state: State) -> None:
        build = self.newest()
        if build and not self._is_banned(build) and (state.current is None or state.current.digest != build.digest):
            self.host.blame(f"{build.version} is the newest and good, and what runs is {state.current}")

    def _check_service(self, state: State) -> None:
        serving = self.host.processes.serving
        if state.current and self.is_good(state.current.digest) and serving is None:
            self.host.blame(f"{state.current.version} is good, and nothing serves")
        others = [each for each in self.host.pipeline.stage.on_disk() if not state.holds_deployed(each)]
        by_hand = state.current and (state.current.digest in self.put_there or state.current.version in self.sent_to)
        if state.current and not self.is_good(state.current.digest) and not by_hand:
            # what was on hold when this one failed could not be gone back to
            better = [each.version for each in others if self.is_good(each.digest) and each.version not in self.let_go]
            if better:
                self.host.blame(f"{state.current} is to serve and is no good, and there is {better}")

    def _check_journal(self, state: State) -> None:
        last = {"deployment.done": "version", "rollback.done": "version", "deployment.failed": "previous_version"}
        outcomes = [entry.field_text(last[entry.event]) for entry in self.host.journal.entries() if entry.event in last]
        if outcomes and not self.host.kept.lost and outcomes[-1] != (state.current.version if state.current else ""):
            self.host.blame(f"the journal ends with {outcomes[-1]}, and {state.current} runs")


def order_of(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))
