"""A version that is no good never takes the service down: found out before users meet it, or left again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from load import Load
from publishing import Archive, Directory
from running import Running, eventually, free_port, running
from trials import Trial, options


def test_of_twenty_versions_every_second_is_broken_and_no_user_notices(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    """Broken in five ways: they exit at once or later, hang, answer 500, or never."""
    port, trial = free_port(), Trial(registry, go_archive)
    command = [*options(registry, root, port), "--", "./current/myapp"]
    with running("server", *command, DEWY_BAKE_TIME="0.3s") as process:
        trial.deploy(process, 0)
        with Load(port, rate=500) as load:
            for number in range(1, 20):
                trial.deploy(process, number, load)
        assert load.failures == []
        assert set(load.answers) == set(trial.good)
        assert load.requests > 2000
    trial.check(process)


# ----------------------------------------------------------------------------------------------- it dies of real traffic


def test_a_version_that_dies_in_use_is_left_for_the_one_before_and_nobody_is_refused(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    command = [*options(registry, root, port), "--", "./current/myapp"]
    with running("server", *command, DEWY_BAKE_TIME="2s") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        with Load(port) as load:
            load.wait_for("v1.0.0")
            registry.publish("v1.1.0", go_archive("v1.1.0 dies 1s"))
            load.wait_for("v1.1.0")
            process.wait_for("deployment.failed", version="v1.1.0", phase="bake")
            at = time.monotonic()
            eventually(lambda: load.last("v1.0.0") > at)
        assert load.refused() == []
        assert len(load.failures) <= in_flight(load), load.failures
        assert load.last("") < load.last("v1.1.0") + 0.5, "nobody fails but those whose request died with it"
        assert load.longest_silence() < 5
    assert {event["version"] for event in process.of("version.held")} == {"v1.1.0"}
    assert len(process.of("deployment.done")) == 1


def in_flight(load: Load) -> int:
    """The most requests that a process may have taken and not answered: a second's worth of a busy machine."""
    return load.kept + load.slow + int(load.rate)


@pytest.mark.parametrize(
    ("grace", "notices", "dies"), [("0.1s", "0s", "1s"), ("2.5s", "2.2s", "4s")], ids=["at once", "late"]
)
def test_where_the_version_before_is_spoilt_too_the_one_before_that_serves(
    registry: Directory, root: Path, go_archive: Archive, grace: str, notices: str, dies: str
) -> None:
    """And what has failed is not started again meanwhile, however long the one in between takes to fail."""
    port = free_port()
    (root / "needed").touch()
    more = ["--preflight", "off", "--start-grace", grace]
    with running("server", *options(registry, root, port, *more), "--", "./current/myapp", DEWY_BAKE_TIME="2s") as process:
        for version, text in (("v1.0.0", "v1.0.0"), ("v1.1.0", f"v1.1.0 spoils {notices}")):
            registry.publish(version, go_archive(text))
            process.wait_for("deployment.done", version=version)
        (root / "needed").unlink()
        with Load(port) as load:
            load.wait_for("v1.1.0")
            registry.publish("v1.2.0", go_archive(f"v1.2.0 dies {dies}"))
            process.wait_for("deployment.failed", version="v1.2.0", phase="bake")
            load.wait_for("v1.0.0")
        assert load.refused() == []
        assert len(load.failures) <= in_flight(load), load.failures
        started = [str(event["version"]) for event in process.of("generation.started")]
        assert started[2:] == ["v1.2.0", "v1.1.0", "v1.0.0"], "forth, back, and back again"
        assert load.last("v1.2.0") < next(at for at, version in load.history if version == "v1.0.0")
    assert {event["version"] for event in process.of("version.held")} == {"v1.1.0", "v1.2.0"}


def test_a_version_that_turns_unhealthy_in_use_is_left_though_it_lives(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    with running("server", *options(registry, root, port), "--", "./current/myapp", DEWY_BAKE_TIME="2s") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", go_archive("v1.1.0 sours 0.5s"))
        failed = process.wait_for("deployment.failed", version="v1.1.0", phase="bake")
        assert "answered GET /healthz with 500" in failed["error"]
        assert "v1.0.0 runs again; v1.1.0 is on hold" in failed["text"]
        with Load(port, kept=0, slow=0) as load:
            load.wait_for("v1.0.0")
        assert set(load.answers) == {"v1.0.0"}


# --------------------------------------------------------------------------------------------------- without a preflight


@pytest.mark.parametrize("way", ["fails", "mute", "hangs"])
def test_without_a_preflight_an_unhealthy_version_serves_until_it_is_found_out_and_not_longer(
    registry: Directory, root: Path, go_archive: Archive, way: str
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    command = [*options(registry, root, port, "--preflight", "off"), "--", "./current/myapp"]
    with running("server", *command, DEWY_BAKE_TIME="0.5s") as process:
        process.wait_for("deployment.done", version="v1.0.0")
        with Load(port, rate=20) as load:
            load.wait_for("v1.0.0")
            registry.publish("v1.1.0", go_archive(f"v1.1.0 {way}"))
            process.wait_for("deployment.failed", version="v1.1.0", phase="bake")
            at = time.monotonic()
            eventually(lambda: load.last("v1.0.0") > at)
            eventually(lambda: time.monotonic() - load.last("") > 1)
        assert load.refused() == []
        assert load.longest_silence() < 6
    assert not [event for event in process.of("generation.started") if event["reason"] == "preflight"]
    assert {event["version"] for event in process.of("version.held")} == {"v1.1.0"}


# ------------------------------------------------------------------------------------------------------ crashes go first


@pytest.mark.parametrize(
    ("way", "moment", "preflight"),
    [("hangs", "generation.started", "on"), ("deaf", "generation.ready", "on"), ("hangs", "generation.started", "off")],
    ids=["it never says that it is ready", "it answers nobody and does not end", "without a preflight"],
)
def test_what_serves_is_started_again_at_once_while_a_candidate_hangs(
    registry: Directory, root: Path, go_archive: Archive, way: str, moment: str, preflight: str
) -> None:
    port, environ = free_port(), {"SAYS_READY": "1"} if way == "hangs" else {}
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    limits = ["--health-timeout", "8s", "--start-timeout", "8s", "--stop-timeout", "8s", "--preflight", preflight]
    command = [*options(registry, root, port, *limits), "--", "./current/myapp"]
    with running("server", *command, **environ) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        serving = process.of("generation.ready")[-1]
        registry.publish("v1.1.0", go_archive(f"v1.1.0 {way}"))
        process.wait_for(moment, version="v1.1.0")
        os.kill(int(serving["pid"]), signal.SIGKILL)
        began = time.monotonic()
        process.wait_for("generation.started", version="v1.0.0", reason="crash")
        assert time.monotonic() - began < BACK_OFF + 1.5


BACK_OFF = 2.0
"""Seconds until an application that has crashed once is started again, at most."""


# -------------------------------------------------------------------------------------------------------- dewy is killed


@pytest.mark.parametrize("way", ["mute", "deaf"])
def test_killed_in_a_preflight_dewy_comes_back_with_what_ran_and_the_candidate_met_nobody(
    registry: Directory, root: Path, go_archive: Archive, way: str
) -> None:
    """Also where the candidate that is left does not end when it is asked to."""
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    command = ["server", *options(registry, root, port, "--stop-timeout", "4s"), "--", "./current/myapp"]
    victim = Running(command)
    try:
        victim.wait_for("deployment.done", version="v1.0.0")
        with Load(port, kept=2, slow=0) as load:
            load.wait_for("v1.0.0")
            registry.publish("v1.1.0", go_archive(f"v1.1.0 {way}"))
            victim.wait_for("generation.ready", version="v1.1.0")
            victim.kill()
            with running(*command) as process:
                process.wait_for("dewy.ready")
                up = time.monotonic()
                process.wait_for("deployment.failed", version="v1.1.0", phase="preflight")
                eventually(lambda: load.last("v1.0.0") > up)
                assert load.last("") < up + 0.5
        assert set(load.answers) == {"v1.0.0"}
        assert load.longest_silence() < 3
    finally:
        victim.kill()


def test_killed_while_a_version_bakes_dewy_watches_it_on_and_leaves_it_when_it_dies(
    registry: Directory, root: Path, go_archive: Archive
) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    command = ["server", *options(registry, root, port), "--", "./current/myapp"]
    victim = Running(command, DEWY_BAKE_TIME="2s")
    try:
        victim.wait_for("deployment.done", version="v1.0.0")
        with Load(port, kept=2, slow=0) as load:
            registry.publish("v1.1.0", go_archive("v1.1.0 dies 1.2s"))
            load.wait_for("v1.1.0")
            victim.kill()
            with running(*command, DEWY_BAKE_TIME="2s") as process:
                process.wait_for("dewy.ready")
                up = time.monotonic()
                process.wait_for("deployment.failed", version="v1.1.0", phase="bake")
                eventually(lambda: load.last("v1.0.0") > up)
                assert [event["version"] for event in process.of("version.held")] == ["v1.1.0"]
        assert load.longest_silence() < 5
    finally:
        victim.kill()


def test_killed_on_the_way_back_dewy_goes_on_there(registry: Directory, root: Path, go_archive: Archive) -> None:
    port = free_port()
    registry.publish("v1.0.0", go_archive("v1.0.0"))
    slowly = options(registry, root, port, "--preflight", "off", "--start-grace", "1.5s")
    command = ["server", *slowly, "--", "./current/myapp"]
    victim = Running(command, DEWY_BAKE_TIME="2s")
    try:
        victim.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", go_archive("v1.1.0 dies 2s"))
        victim.wait_for("generation.started", version="v1.0.0", count=2)
        victim.kill()
        with running(*command) as process, Load(port, kept=0, slow=0) as load:
            process.wait_for("dewy.ready")
            up = time.monotonic()
            process.wait_for("registry.polled", version="v1.1.0")
            eventually(lambda: load.last("v1.0.0") > up)
            assert not process.of("generation.started", version="v1.1.0")
        assert set(load.answers) == {"v1.0.0"}
    finally:
        victim.kill()
