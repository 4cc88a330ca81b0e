"""An application that dies is started again, later and later, on sockets that stay open (R83)."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from supervision import run, supervised, until

from dewy import events
from dewy.errors import StartError

READY = "say=READY=1"


@pytest.mark.parametrize(
    ("script", "how"), [("exit 3", "exit status 3"), ("exit 0", "exit status 0"), ("kill -9 $$", "killed by SIGKILL")]
)
def test_a_death_of_any_kind_is_told_with_the_last_words_and_it_comes_back(tmp_path: Path, script: str, how: str) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, start_grace=0.1) as it:
            await it.supervisor.start(
                it.shell(f"sleep 0.3; test -e once && exec sleep 60; touch once; echo last words; {script}")
            )
            old = it.pid
            await until(lambda: it.pid not in (0, old))
            (told,) = it.events.of(events.APPLICATION_CRASHED)
            assert (told["how"], told["pid"], told["version"], told["output"]) == (how, old, "v1", "last words")
            assert (told["crashes"], told["generation"]) == (1, 1)
            assert 0.3 <= float(str(told["uptime"])) < 10
            assert 0 < float(str(told["retry_seconds"])) <= 0.1

    run(scenario())


def test_connections_wait_while_it_is_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, backoff_first=0.4) as it:
            await it.supervisor.start(it.launch(READY))
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.state == "waiting")
            answers = await asyncio.gather(*(it.ask() for _ in range(20)))
            assert {answer["generation"] for answer in answers} == {2}

    run(scenario())


def test_a_crash_loop_slows_down_and_ends_when_the_cause_does(tmp_path: Path) -> None:
    fail = tmp_path / "fail"

    async def scenario() -> None:
        async with supervised(tmp_path, backoff_first=0.05, backoff_most=0.8, stable_after=0.3) as it:
            await it.supervisor.start(it.launch(READY, f"fail_file={fail}"))
            fail.touch()
            os.kill(it.pid, signal.SIGKILL)
            told = await until(
                lambda: it.events.of(events.APPLICATION_CRASHED)[4:] and it.events.of(events.APPLICATION_CRASHED)
            )
            assert [crash["crashes"] for crash in told] == list(range(1, len(told) + 1))
            assert {crash["how"] for crash in told[1:]} == {"exit status 7"}
            delays = [float(str(crash["retry_seconds"])) for crash in told]
            assert all(shorter <= longer for shorter, longer in pairwise(delays[:4])), delays
            assert it.supervisor.status.crashes >= 5
            assert events.APPLICATION_RECOVERED not in [kind for kind, _ in it.events.events]
            fail.unlink()
            (recovered,) = await until(lambda: it.events.of(events.APPLICATION_RECOVERED))
            assert recovered["crashes"] == len(it.events.of(events.APPLICATION_CRASHED))
            assert it.supervisor.status.crashes == 0
            assert (await it.ask())["pid"] == it.pid

    run(scenario())


def test_starting_goes_on_when_the_first_try_fails(tmp_path: Path) -> None:
    """As at boot, when the database is not there yet."""
    fail = tmp_path / "fail"
    fail.touch()

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            with pytest.raises(StartError, match="exit status 7"):
                await it.supervisor.start(it.launch(READY, f"fail_file={fail}"))
            await until(lambda: len(it.events.of(events.APPLICATION_CRASHED)) >= 2)
            fail.unlink()
            await until(lambda: it.supervisor.status.state == "running")
            assert (await it.ask())["pid"] == it.pid

    run(scenario())


def test_starting_goes_on_when_the_program_is_not_there_yet(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            with pytest.raises(StartError, match="does not exist"):
                await it.supervisor.start(it.program("./later"))
            told = await until(lambda: it.events.of(events.APPLICATION_CRASHED)[1:])
            assert "does not exist" in str(told[0]["how"])
            (tmp_path / "made").write_text("#!/bin/sh\nexec sleep 60\n")
            (tmp_path / "made").chmod(0o755)
            (tmp_path / "made").rename(tmp_path / "later")
            await until(lambda: it.supervisor.status.state == "running")

    run(scenario())


def test_a_swap_that_fails_first_of_all_leaves_nothing_running(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            with pytest.raises(StartError):
                await it.supervisor.swap(it.launch("fail=7"))
            await asyncio.sleep(0.3)
            assert it.supervisor.status.state == "idle"
            assert it.events.names.count("generation.started") == 1

    run(scenario())


def test_a_swap_during_the_back_off_begins_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, backoff_first=30, backoff_most=60) as it:
            await it.supervisor.start(it.launch(READY))
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.state == "waiting")
            async with asyncio.timeout(5):
                await it.supervisor.swap(it.launch(READY, version="v2"))
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.state == "waiting")
            async with asyncio.timeout(5):
                await it.supervisor.restart()
            current = it.supervisor.status.current
            assert current
            assert (current.version, current.number) == ("v2", 3)

    run(scenario())


def test_stopping_during_the_back_off_is_quick_and_starts_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, backoff_first=30, backoff_most=60) as it:
            await it.supervisor.start(it.launch(READY))
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.state == "waiting")
            async with asyncio.timeout(2):
                await it.supervisor.stop()
            assert it.events.names.count("generation.started") == 1

    run(scenario())


def test_an_application_that_ends_after_sigterm_from_outside_is_started_again(tmp_path: Path) -> None:
    """Nobody has asked dewy for it: an end of its own is a crash whatever its status."""

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            os.kill(it.pid, signal.SIGTERM)
            await until(lambda: it.supervisor.status.current and it.supervisor.status.current.number == 2)
            assert it.events.of(events.APPLICATION_CRASHED)[0]["how"] == "exit status 0"

    run(scenario())


def test_a_restart_that_fails_while_nothing_serves_is_tried_again(tmp_path: Path) -> None:
    fail = tmp_path / "fail"

    async def scenario() -> None:
        async with supervised(tmp_path, backoff_first=0.3) as it:
            await it.supervisor.start(it.launch(READY, f"fail_file={fail}"))
            fail.touch()
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.state == "waiting")
            with pytest.raises(StartError):
                await it.supervisor.restart()
            assert not it.events.of(events.RESTART_FAILED), "there is no old one that serves on"
            fail.unlink()
            await until(lambda: it.supervisor.status.state == "running")

    run(scenario())


def test_what_is_wanted_has_its_own_environment_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            launch = it.shell('echo "$WHO" >> who; exec sleep 60')
            await it.supervisor.start(replace(launch, environ={**launch.environ, "WHO": "me"}))
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: (tmp_path / "who").read_text() == "me\nme\n")

    run(scenario())
