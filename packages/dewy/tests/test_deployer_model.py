"""Hours in the life of a host, at random: whatever is published, deleted, killed and full, a model says what must hold.

Hypothesis plays registry, operator and fate; dewy's deployer runs on a real disk, in simulated time, two hours of it at
least for each example. ``DEWY_TEST_MODEL_EXAMPLES`` has more of them played, and what fails made small.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from host_model import Model, order_of
from simulated_host import Host
from simulated_processes import Build

# whoever is killed closes no file
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")

HOURS = 2.0
PATIENCE = 900.0
"""Seconds after which all is well when nothing happens any more: the longest back-off twice, and a deployment."""
EXAMPLES = int(os.environ.get("DEWY_TEST_MODEL_EXAMPLES", "0"))


# ------------------------------------------------------------------------------------------------------------ what happens

NATURES = st.sampled_from(["good", "good", "good", "good", "thirsty", "broken", "spoilt", "sick", "turning"])
WRONG = st.sampled_from([*[""] * 8, "archive", "checksum"])
PAUSES = st.sampled_from([0.0, 5.0, 60.0, 400.0])
DELAYS = st.sampled_from([0.0, 3.0, 12.0, 35.0])
STEPS = st.integers(0, 90)


class Life(RuleBasedStateMachine):
    """One host, and all that happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.directory = Path(tempfile.mkdtemp(prefix="dewy-model-"))
        self.next = 0

    @initialize(health=st.booleans(), preflight=st.booleans())
    def begin(self, health: bool, preflight: bool) -> None:
        """A host, and dewy on it."""
        self.host = self.model.host = Host(self.directory, self.model, health=health, preflight=preflight)

    def teardown(self) -> None:
        """What is left of two hours passes in peace, and then all is well."""
        try:
            if hasattr(self, "host") and not self.host.violations:
                self.calm()
                self.go_on(max(PATIENCE, HOURS * 3600 - self.host.clock.monotonic()))
                self.model.check_settled()
        finally:
            if hasattr(self, "host"):
                self.host.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def go_on(self, seconds: float) -> None:
        """Time passes."""
        self.model.disturbed()
        self.host.go_on(seconds, self.model.check)

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.host.disk.heal()
        self.host.clock.pass_by(60.0)  # what was to happen has happened then
        self.host.reach(registry=True)
        self.host.hooks_refuse = False

    @rule()
    def settle(self) -> None:
        """Nothing happens for long, and then all is well."""
        self.calm()
        self.go_on(PATIENCE)
        self.model.check_settled()

    # ---------------------------------------------------------------------------------------------------- the registry

    def _release(self, version: str, nature: str, wrong: str) -> None:
        build = self.host.release(version, nature, wrong=wrong)
        self.model.offers[version] = build
        if not wrong:
            self.model.good.add(build.digest)

    @rule(nature=NATURES, wrong=WRONG, pause=PAUSES)
    def publish(self, nature: str, wrong: str, pause: float) -> None:
        """A newer version."""
        self.next += 1
        self._release(f"v1.{self.next}.0", nature, wrong)
        self.go_on(pause)

    @rule(pause=PAUSES)
    def announce(self, pause: float) -> None:
        """A newer version, whose artifact is not there yet."""
        self.next += 1
        self.host.announce(f"v1.{self.next}.0")
        self.model.offers[f"v1.{self.next}.0"] = None
        self.go_on(pause)

    @precondition(lambda self: self.model.offers)
    @rule(data=st.data(), nature=NATURES, wrong=WRONG, pause=PAUSES)
    def publish_again(self, data: st.DataObject, nature: str, wrong: str, pause: float) -> None:
        """Other bytes under a version; or the first ones."""
        self._release(self._pick(data), nature, wrong)
        self.go_on(pause)

    @precondition(lambda self: any(self.model.offers.values()))
    @rule(data=st.data(), pause=PAUSES)
    def touch(self, data: st.DataObject, pause: float) -> None:
        """The same bytes under the same version, once more."""
        build = self.model.offers[self._pick(data)]
        if build:
            self.host.put(build)
        self.go_on(pause)

    @precondition(lambda self: self.model.offers)
    @rule(data=st.data(), wholly=st.booleans(), pause=PAUSES)
    def withdraw(self, data: st.DataObject, wholly: bool, pause: float) -> None:
        """A version is deleted; perhaps dewy's own audit entries are left of it."""
        version = self._pick(data)
        self.host.take_away(version, wholly=wholly)
        del self.model.offers[version]
        self.go_on(pause)

    @rule(seconds=st.sampled_from([20.0, 100.0, 1000.0]), pause=PAUSES)
    def lose_registry(self, seconds: float, pause: float) -> None:
        """The registry goes away for a while."""
        self.host.reach(registry=False)
        self._later(seconds, lambda: self.host.reach(registry=True))
        self.go_on(pause)

    def _pick(self, data: st.DataObject) -> str:
        """A version: the newest more often than others."""
        versions = sorted(self.model.offers, key=order_of)
        return data.draw(st.sampled_from([*versions, *[versions[-1]] * len(versions)]))

    # ------------------------------------------------------------------------------------------------------------ fate

    @rule(delay=DELAYS, pause=PAUSES)
    def crash(self, delay: float, pause: float) -> None:
        """What serves dies."""
        self._later(delay, self.host.crash)
        self.go_on(pause)

    @rule(steps=st.lists(STEPS, min_size=1, max_size=3), pause=PAUSES)
    def kill(self, steps: list[int], pause: float) -> None:
        """dewy is killed, and perhaps the next one too."""
        self.host.disk.kill_in(*steps)
        self.go_on(pause)

    @rule(steps=STEPS, seconds=st.sampled_from([5.0, 50.0, 500.0]), pause=PAUSES)
    def fill(self, steps: int, seconds: float, pause: float) -> None:
        """The disk is full for a while."""
        self.host.disk.fill_in(steps, seconds)
        self.go_on(pause)

    @rule(delay=DELAYS, seconds=st.sampled_from([5.0, 50.0, 500.0]), pause=PAUSES)
    def fill_later(self, delay: float, seconds: float, pause: float) -> None:
        """The disk is full for a while, from some time on."""
        self._later(delay, lambda: self.host.disk.fill(seconds))
        self.go_on(pause)

    @rule(pause=PAUSES)
    def refuse(self, pause: float) -> None:
        """The before-hook says no, or yes again."""
        self.host.hooks_refuse = not self.host.hooks_refuse
        self.go_on(pause)

    # ------------------------------------------------------------------------------------------------------- operators

    @rule(delay=DELAYS, data=st.data(), pause=PAUSES)
    def roll_back(self, delay: float, data: st.DataObject, pause: float) -> None:
        """An operator goes back, perhaps to a version that is named."""
        known = sorted({build.version for build in self.host.builds.values()}, key=order_of)
        version = data.draw(st.sampled_from([None, *known]))
        self._ask(delay, lambda: self._roll_back(version))
        self.go_on(pause)

    def _roll_back(self, version: str | None) -> None:
        state, model = self.host.pipeline.state, self.model
        model.left |= {each.version for each in (state.current, state.pending and state.pending.deployed) if each}
        if version:
            model.named.add(version)
            model.sent_to.add(version)  # also where dewy is killed before it says that it has come there
        self.host.deployer.operations.roll_back(version, "alice")

    @precondition(lambda self: self.next)
    @rule(delay=DELAYS, data=st.data(), pause=PAUSES)
    def hold(self, delay: float, data: st.DataObject, pause: float) -> None:
        """An operator puts a version on hold, perhaps one that is still to come."""
        version = f"v1.{data.draw(st.integers(1, self.next + 1))}.0"
        self._ask(delay, lambda: self._hold(version))
        self.go_on(pause)

    def _hold(self, version: str) -> None:
        self.model.left.add(version)
        self.host.deployer.operations.hold(version, "alice")

    @precondition(lambda self: self.model.bans)
    @rule(delay=DELAYS, data=st.data(), pause=PAUSES)
    def unhold(self, delay: float, data: st.DataObject, pause: float) -> None:
        """An operator lifts a hold."""
        version = data.draw(st.sampled_from(sorted({version for version, _ in self.model.bans}, key=order_of)))
        self._ask(delay, lambda: self._unhold(version))
        self.go_on(pause)

    def _unhold(self, version: str) -> None:
        self.model.named.add(version)  # whoever is killed in the middle of it has done it, or has not
        self.host.deployer.operations.unhold(version, "alice")
        self.model.unheld(version)

    def _ask(self, delay: float, work: Callable[[], object]) -> None:
        self._later(delay, lambda: self.host.up and self.host.deployer.inbox.ask(work))

    def _later(self, delay: float, what: Callable[[], object]) -> None:
        def happen() -> None:
            self.model.disturbed()
            what()

        self.host.later(delay, happen)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=EXAMPLES or 30,
    stateful_step_count=30,
    derandomize=not EXAMPLES,  # a test that fails once in a thousand runs tells the wrong person
    # what fails is made small only where there is time for it: an example of hours has many steps
    phases=[Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
if EXAMPLES:
    pytest.mark.timeout(0)(TestLife)


# -------------------------------------------------------------------------------------------------- what was found like so


@pytest.fixture
def life() -> Iterator[Life]:
    """A life that is told, and not played; what must hold holds at the end of it."""
    life = Life()
    life.begin(health=False, preflight=False)
    try:
        yield life
    finally:
        life.teardown()


def test_the_registry_is_the_truth_also_after_it_has_gone_back(life: Life) -> None:
    life.publish("good", "", 60.0)
    life.publish("good", "", 60.0)
    life.host.take_away("v1.2.0", wholly=False)
    del life.model.offers["v1.2.0"]
    life.settle()
    serving = life.host.processes.runs
    assert serving
    assert serving.version == "v1.1.0"


def test_what_is_on_hold_stays_so_when_its_very_bytes_are_published_again(life: Life) -> None:
    life.publish("good", "", 60.0)
    life.publish("spoilt", "", 60.0)
    held = life.model.offers["v1.2.0"]
    assert held
    life.host.put(held)
    life.settle()


def test_a_spoilt_build_under_the_tag_that_runs_is_tried_once(life: Life) -> None:
    life.publish("good", "", 60.0)
    life._release("v1.1.0", "spoilt", "")
    life.settle()


def test_where_two_builds_under_one_tag_are_spoilt_their_trial_ends(life: Life) -> None:
    life.publish("spoilt", "", 60.0)
    life._release("v1.1.0", "spoilt", "")
    life.settle()


def test_other_bytes_that_an_operator_has_left_under_the_same_tag_are_not_deployed_again(life: Life) -> None:
    life.publish("good", "", 60.0)
    life._release("v1.1.0", "good", "")
    life.go_on(60.0)
    life._ask(0.0, lambda: life._roll_back(None))
    life.settle()


def test_other_bytes_that_fail_too_are_not_left_for_those_on_hold_before(life: Life) -> None:
    life.publish("spoilt", "", 60.0)
    life.publish("spoilt", "", 60.0)
    life._release("v1.2.0", "spoilt", "")
    life.settle()


def test_going_back_to_a_build_lifts_no_hold_on_others_under_its_tag(life: Life) -> None:
    life.publish("good", "", 60.0)
    life._release("v1.1.0", "spoilt", "")
    life.go_on(60.0)
    life.publish("good", "", 60.0)
    life._ask(0.0, lambda: life._roll_back("v1.1.0"))
    life.settle()
    life.host.take_away("v1.2.0", wholly=True)
    del life.model.offers["v1.2.0"]
    life.settle()


def test_what_a_full_disk_has_kept_from_going_back_goes_back_when_there_is_room(life: Life) -> None:
    life.publish("good", "", 60.0)
    life.publish("spoilt", "", 0.0)
    life._later(2.0, lambda: life.host.disk.fill(200.0))
    life.go_on(60.0)
    life.publish("good", "checksum", 60.0)
    life.settle()


def test_a_version_that_has_failed_is_not_left_for_its_own_older_directory(life: Life) -> None:
    life.publish("spoilt", "", 60.0)
    life.publish("spoilt", "", 60.0)
    life._ask(0.0, lambda: life._unhold("v1.2.0"))
    life.settle()


def test_a_version_that_an_operator_holds_while_it_bakes_stays_on_hold(life: Life) -> None:
    life.publish("good", "", 0.0)
    life._ask(5.0, lambda: life._hold("v1.1.0"))
    life.go_on(60.0)
    life.settle()


def test_a_version_that_dies_because_the_disk_is_full_is_tried_again_when_there_is_room(life: Life) -> None:
    life.publish("good", "", 60.0)
    life.publish("thirsty", "", 0.0)
    life._later(5.0, lambda: life.host.disk.fill(50.0))
    life.go_on(100.0)
    life.settle()


def test_a_disk_that_fills_while_a_version_fails_does_not_keep_the_one_before_from_coming_back(life: Life) -> None:
    life.publish("good", "", 60.0)
    life.publish("thirsty", "", 60.0)
    fills_up_with(life, "v1.3.0")
    life.publish("broken", "", 60.0)
    life.settle()


@pytest.mark.parametrize("filler", ["v1.2.0", "v1.3.0"])
def test_a_version_that_cannot_be_gone_back_to_because_the_disk_is_full_is_not_held_for_it(life: Life, filler: str) -> None:
    life.publish("good", "", 60.0)
    life.publish("thirsty", "", 60.0)
    fills_up_with(life, filler)
    life.publish("spoilt", "", 60.0)
    life.settle()
    serving = life.host.processes.runs
    assert serving
    assert serving.version == "v1.2.0"


def fills_up_with(life: Life, version: str) -> None:
    """The disk is full for a while from the next start of a version on."""
    started, model = life.model.started, life.model

    def fill(build: Build, how: str) -> None:
        started(build, how)
        if build.version == version:
            model.started = started  # type: ignore[method-assign]
            life.host.disk.fill(50.0)

    model.started = fill  # type: ignore[method-assign]


def test_release_directories_of_versions_that_fail_do_not_pile_up(life: Life) -> None:
    life.publish("good", "", 60.0)
    for _ in range(6):
        life.publish("spoilt", "", 60.0)
    life.settle()
