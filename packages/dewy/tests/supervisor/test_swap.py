"""The swap: the generation that serves finishes only when its successor is ready, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from supervision import Supervised, alive, children, open_files, run, supervised, until

from dewy import events
from dewy.errors import DewyError, StartError

READY = "say=READY=1"


async def load(it: Supervised, stop: asyncio.Event, seen: list[int]) -> int:
    """Connections one after another until told to stop; how many were answered. A failed one fails the test."""
    count = 0
    while not stop.is_set():
        seen.append((await it.ask())["generation"])
        count += 1
    return count


def test_five_swaps_under_load_lose_no_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY, "work=0.002"))
            stop, seen = asyncio.Event(), list[int]()
            clients = [asyncio.create_task(load(it, stop, seen)) for _ in range(8)]
            for number in range(2, 7):
                await it.supervisor.swap(it.launch(READY, "work=0.002", version=f"v{number}"))
                await it.only(it.pid)
                count = len(seen)
                await until(lambda: len(seen) > count + 20)  # noqa: B023 - awaited in this round
            stop.set()
            assert min(await asyncio.gather(*clients)) > 0
            assert set(seen) == {1, 2, 3, 4, 5, 6}
            status = it.supervisor.status
            assert status.current
            assert (status.state, status.current.number, status.current.version) == ("running", 6, "v6")

    run(scenario())


def test_the_old_one_is_asked_to_finish_after_the_new_one_is_ready_and_may_take_its_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY, "work=0.8"))
            old = it.pid
            slow = asyncio.create_task(it.ask())
            await asyncio.sleep(0.2)
            await it.supervisor.swap(it.launch(READY))
            assert it.pid != old
            await it.only(old, it.pid)
            assert (await slow)["pid"] == old, "what was in flight is answered"
            await it.only(it.pid)
            names = it.events.names
            assert names.index("generation.stopping") > len(names) - 1 - names[::-1].index("generation.ready")

    run(scenario())


def test_a_slow_boot_is_waited_for_while_the_old_one_serves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            old = it.pid
            swap = asyncio.create_task(it.supervisor.swap(it.launch("boot=2", READY)))
            while not swap.done():
                asked = time.monotonic()
                answer = await it.ask()
                assert time.monotonic() - asked < 1
                assert answer["pid"] == old or it.pid != old
            await swap
            assert (await it.ask())["pid"] == it.pid != old

    run(scenario())


@pytest.mark.parametrize("broken", ["fail=7", "boot=30", "stubborn=1"])
def test_a_broken_version_costs_nothing(tmp_path: Path, broken: str) -> None:
    """It exits, hangs at its start, or never says that it is ready and does not go either."""

    async def scenario() -> None:
        async with supervised(tmp_path, start_timeout=1, failed_grace=0.3) as it:
            await it.supervisor.start(it.launch(READY))
            old = it.pid
            with pytest.raises(StartError, match="v2 is not ready"):
                await it.supervisor.swap(it.launch(broken, version="v2"))
            assert it.pid == old
            await it.only(old)
            assert (await it.ask())["pid"] == old
            await it.supervisor.swap(it.launch(READY, version="v3"))
            current = it.supervisor.status.current
            assert current
            assert (current.number, current.version) == (3, "v3"), "failed attempts are counted"

    run(scenario())


def test_several_triggers_at_once_are_taken_one_by_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            stop, seen = asyncio.Event(), list[int]()
            client = asyncio.create_task(load(it, stop, seen))
            await asyncio.gather(*(it.supervisor.swap(it.launch(READY, version=version)) for version in ("v2", "v3", "v4")))
            current = it.supervisor.status.current
            assert current
            assert (current.version, current.number) == ("v4", 4)
            stop.set()
            await client

    run(scenario())


def test_restarts_that_are_asked_for_during_one_become_one_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY, "boot=0.3"))
            first = asyncio.create_task(it.supervisor.restart())
            await until(lambda: it.events.names.count("generation.started") == 2)
            for _ in range(5):
                it.supervisor.request_restart()
            await asyncio.gather(first, *(it.supervisor.restart() for _ in range(5)))
            current = it.supervisor.status.current
            assert current
            assert (current.number, current.version) == (3, "v1")
            assert [told["generation"] for told in it.events.of(events.APPLICATION_RESTARTED)] == [2, 3]

    run(scenario())


def test_a_restart_that_fails_is_told_and_the_old_one_serves_on(tmp_path: Path) -> None:
    fail = tmp_path / "fail"

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY, f"fail_file={fail}"))
            old = it.pid
            fail.touch()
            with pytest.raises(StartError):
                await it.supervisor.restart()
            it.supervisor.request_restart()
            told = await until(lambda: it.events.of(events.RESTART_FAILED)[1:])
            assert told[0]["output"] == "about to fail"
            assert it.pid == old
            assert (await it.ask())["pid"] == old

    run(scenario())


def test_there_is_nothing_to_restart_before_anything_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            with pytest.raises(DewyError, match="nothing to restart"):
                await it.supervisor.restart()

    run(scenario())


def test_an_old_one_that_dies_while_the_new_one_boots_is_not_missed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            swap = asyncio.create_task(it.supervisor.swap(it.launch("boot=0.6", READY, version="v2")))
            await until(lambda: len(it.supervisor.status.generations) == 2)
            os.kill(it.pid, signal.SIGKILL)
            waiting = asyncio.create_task(it.ask())
            await swap
            assert (await waiting)["pid"] == it.pid, "the connection has waited"
            await asyncio.sleep(0.3)
            current = it.supervisor.status.current
            assert current
            assert (current.number, current.version) == (2, "v2"), "the old one is not started again"

    run(scenario())


def test_an_old_one_that_dies_while_the_new_one_fails_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            swap = asyncio.create_task(it.supervisor.swap(it.launch("boot=0.6", "fail=1", version="v2")))
            await until(lambda: len(it.supervisor.status.generations) == 2)
            os.kill(it.pid, signal.SIGKILL)
            waiting = asyncio.create_task(it.ask())
            with pytest.raises(StartError):
                await swap
            assert (await waiting)["generation"] == 3
            current = it.supervisor.status.current
            assert current
            assert current.version == "v1"

    run(scenario())


class TestStopping:
    def test_one_that_does_not_finish_is_killed_after_the_stop_timeout(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with supervised(tmp_path, stop_timeout=0.5) as it:
                await it.supervisor.start(it.launch(READY, "stubborn=1"))
                old = it.pid
                await it.supervisor.swap(it.launch(READY))
                await until(lambda: it.events.of(events.GENERATION_KILLED))
                await it.only(it.pid)
                assert not alive(old)
                (stopped,) = it.events.of(events.GENERATION_STOPPED)
                assert stopped["how"] == "killed by SIGKILL"

        run(scenario())

    def test_stop_ends_all_generations_within_the_timeout_and_twice_is_once(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with supervised(tmp_path, stop_timeout=1) as it:
                for version in ("v1", "v2"):
                    await it.supervisor.swap(it.launch(READY, "stubborn=1", version=version))
                began = time.monotonic()
                first = asyncio.create_task(it.supervisor.stop())
                await asyncio.sleep(0.5)
                await it.supervisor.stop()
                assert first.done() or await first is None
                assert 0.9 <= time.monotonic() - began < 4
                assert it.supervisor.status.state == "stopped"
                assert children() == []

        run(scenario())

    @pytest.mark.parametrize("verb", ["start", "swap"])
    def test_stop_ends_a_start_under_way_and_those_who_wait_for_it(self, tmp_path: Path, verb: str) -> None:
        async def scenario() -> None:
            async with supervised(tmp_path) as it:
                call: Any = getattr(it.supervisor, verb)
                starts = [asyncio.create_task(call(it.launch("boot=30"))) for _ in range(2)]
                await until(lambda: it.supervisor.status.generations)
                assert it.supervisor.status.state == "starting"
                began = time.monotonic()
                await it.supervisor.stop()
                assert time.monotonic() - began < 5
                for start in starts:
                    with pytest.raises(DewyError, match="shutting down"):
                        await start
                with pytest.raises(DewyError, match="shutting down"):
                    await it.supervisor.restart()

        run(scenario())

    def test_who_stops_waiting_does_not_stop_the_swap(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with supervised(tmp_path) as it:
                swap = asyncio.create_task(it.supervisor.swap(it.launch("boot=0.3", READY)))
                await until(lambda: it.supervisor.status.generations)
                swap.cancel()
                await until(lambda: it.supervisor.status.state == "running")

        run(scenario())


FAMILY = """
import os, signal, socket, sys, time
def say(what):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(what, "\\0" + os.environ["NOTIFY_SOCKET"][1:])
stubborn = sys.argv[1:] == ["stubborn"]
for _ in range(4):
    if os.fork() == 0:
        if os.fork() == 0:
            os.fork()
        if stubborn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open("pids", "a") as file:
            file.write(f"{os.getpid()}\\n")
        while True:
            time.sleep(60)
while len(open("pids").readlines() if os.path.exists("pids") else ()) < 12:
    time.sleep(0.01)
say(b"READY=1")
signal.pause()
"""


def family_of(path: Path) -> list[int]:
    """The processes of the family, once all of it is there."""
    pids = [int(line) for line in (path / "pids").read_text().split()] if (path / "pids").exists() else []
    return pids if len(pids) == 12 else []


class TestGroups:
    @pytest.mark.parametrize("how", ["polite", "stubborn"])
    def test_nobody_in_the_group_outlives_a_leader_that_was_killed(self, tmp_path: Path, how: str) -> None:
        """As gunicorn's workers do when the master is killed: they would go on accepting."""

        async def scenario() -> None:
            async with supervised(tmp_path, backoff_first=5, backoff_most=10) as it:
                family = it.python(FAMILY)
                await it.supervisor.start(it.program(*family.argv, how))
                pids = await until(lambda: family_of(tmp_path), "twelve processes")
                assert all(alive(pid) for pid in pids)
                os.kill(it.pid, signal.SIGKILL)
                await until(lambda: not any(alive(pid) for pid in pids))

        run(scenario())

    def test_a_family_that_ignores_everything_is_killed_at_one_blow(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with supervised(tmp_path, stop_timeout=0.3) as it:
                script = FAMILY.replace("signal.pause()", "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
                await it.supervisor.start(it.program(*it.python(script).argv, "stubborn"))
                pids = await until(lambda: family_of(tmp_path), "twelve processes")
                await it.supervisor.stop()
                await until(lambda: not any(alive(pid) for pid in pids))

        run(scenario())


def test_twenty_swaps_leave_descriptors_threads_and_children_as_they_were(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            await it.supervisor.restart()
            await it.only(it.pid)
            before = await until(open_files)
            for _ in range(20):
                await it.supervisor.restart()
            await it.only(it.pid)
            assert children() == [it.pid]
            await until(lambda: open_files() == before, f"as few files as {before}")

    run(scenario())


def test_it_works_without_pidfds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Linux before 5.3, on other systems, and in containers that do not allow them."""
    monkeypatch.delattr(os, "pidfd_open")

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            with pytest.raises(StartError, match="exit status 7"):
                await it.supervisor.swap(it.launch("fail=7"))
            old = it.pid
            await it.supervisor.restart()
            await it.only(it.pid)
            assert not alive(old)

    run(scenario())


def test_an_exit_that_something_else_has_waited_for_is_survived(tmp_path: Path) -> None:
    """A parent that ignores SIGCHLD hands that on, and then the kernel keeps no exit status."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            with pytest.raises(StartError, match="exit status unknown"):
                await it.supervisor.swap(it.launch("fail=7"))
            await it.supervisor.swap(it.launch(READY))

    try:
        run(scenario())
    finally:
        signal.signal(signal.SIGCHLD, before)
