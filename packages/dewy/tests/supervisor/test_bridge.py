"""The verbs from another thread, as the deployer uses them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from supervision import run, supervised, until

from dewy.errors import DewyError, StartError
from dewy.supervisor import SupervisorBridge

READY = "say=READY=1"


def test_verbs_wait_for_their_end_and_raise_what_went_wrong(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            bridge = SupervisorBridge(it.supervisor, asyncio.get_running_loop())

            def deployer() -> None:
                bridge.start(it.launch(READY))
                assert bridge.status.state == "running"
                assert bridge.speaks_notify
                bridge.swap(it.launch(READY, version="v2"))
                with pytest.raises(StartError) as caught:
                    bridge.swap(it.launch("fail=7", version="v3"))
                assert caught.value.output == ("about to fail",)
                bridge.restart()
                current = bridge.status.current
                assert current
                assert (current.version, current.number) == ("v2", 4)
                bridge.stop()
                with pytest.raises(DewyError, match="shutting down"):
                    bridge.swap(it.launch(READY))

            await asyncio.to_thread(deployer)

    run(scenario())


def test_a_shutdown_frees_those_who_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            bridge = SupervisorBridge(it.supervisor, asyncio.get_running_loop())

            def deployer() -> float:
                with pytest.raises(DewyError, match="shutting down"):
                    bridge.swap(it.launch("boot=60"))
                return time.monotonic()

            waiting = asyncio.create_task(asyncio.to_thread(deployer))
            await until(lambda: it.supervisor.status.generations)
            asked = time.monotonic()
            await it.supervisor.stop()
            assert await waiting - asked < 5

    run(scenario())


def test_a_main_thread_that_has_ended_raises(tmp_path: Path) -> None:
    kept: list[SupervisorBridge] = []

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            kept.append(SupervisorBridge(it.supervisor, asyncio.get_running_loop()))

    run(scenario())
    with pytest.raises(DewyError, match="shutting down"):
        kept[0].stop()


def test_a_main_thread_that_ends_meanwhile_raises(tmp_path: Path) -> None:
    """A task that is cancelled with its loop is no reason to wait for the deadline."""
    started: list[asyncio.Future[None]] = []

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            loop = asyncio.get_running_loop()
            bridge = SupervisorBridge(it.supervisor, loop)

            def deployer() -> None:
                with pytest.raises(DewyError, match="shutting down"):
                    bridge.swap(it.launch("boot=60"))

            before = asyncio.all_tasks()
            started.append(asyncio.ensure_future(asyncio.to_thread(deployer)))
            await until(lambda: it.supervisor.status.generations)
            for task in asyncio.all_tasks() - before - {started[0]}:
                if "run_coroutine" in repr(task) or "Supervisor.swap" in repr(task):
                    task.cancel()
            await started[0]

    run(scenario())
