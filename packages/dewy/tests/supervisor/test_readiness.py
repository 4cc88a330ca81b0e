"""When a generation counts as ready, with real processes that say so, or do not, or lie."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from supervision import open_files, run, supervised, until

from dewy import events
from dewy.errors import StartError
from dewy.supervisor.readiness import Notification, NotifySocket


def test_it_is_ready_when_it_says_so_and_not_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ready="notify") as it:
            await it.supervisor.start(it.launch("boot=0.5", "say=STATUS=warm|READY=1"))
            (ready,) = it.events.of(events.GENERATION_READY)
            assert ready["how"] == "it said READY=1"
            assert 0.5 <= float(str(ready["seconds"])) < 5
            current = it.supervisor.status.current
            assert current
            assert (current.state, current.text, current.says_ready) == ("ready", "warm", True)
            assert (await it.ask())["pid"] == it.pid

    run(scenario())


def test_one_that_says_nothing_is_ready_when_it_has_stayed_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, start_grace=0.4) as it:
            began = time.monotonic()
            await it.supervisor.start(it.launch())
            assert 0.4 <= time.monotonic() - began < 5
            assert it.events.of(events.GENERATION_READY)[0]["how"] == "it has stayed up for 0.4s"

    run(scenario())


@pytest.mark.parametrize("ready", ["auto", "notify", "grace"])
def test_one_that_exits_is_not_ready_whatever_its_status(tmp_path: Path, ready: str) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ready=ready) as it:
            for script, how in (
                ("exit 0", "exit status 0"),
                ("exit 3", "exit status 3"),
                ("kill -9 $$", "killed by SIGKILL"),
            ):
                with pytest.raises(StartError, match=f"v1 is not ready: it ended with {how}"):
                    await it.supervisor.swap(it.shell(script))
            assert it.supervisor.status.state == "idle"
            assert [failed["generation"] for failed in it.events.of(events.GENERATION_FAILED)] == [1, 2, 3]

    run(scenario())


def test_the_last_words_of_one_that_fails_are_in_the_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            with pytest.raises(StartError) as caught:
                await it.supervisor.swap(it.shell("seq 100; echo cannot open the database >&2; exit 1"))
            assert caught.value.output[-1] == "cannot open the database"
            assert caught.value.output[-2] == "100"
            assert len(caught.value.output) == 50

    run(scenario())


def test_one_that_must_say_so_and_does_not_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ready="notify", start_timeout=0.3) as it:
            with pytest.raises(StartError, match=r"it did not say READY=1 within 0\.3s\. If it never does, .*--ready grace"):
                await it.supervisor.swap(it.launch())
            await it.only()

    run(scenario())


def test_it_may_ask_for_more_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, start_grace=0.3, start_timeout=0.6) as it:
            await it.supervisor.start(it.launch("early=EXTEND_TIMEOUT_USEC=9000000", "boot=1", "say=READY=1"))
            assert it.events.of(events.GENERATION_READY)[0]["how"] == "it said READY=1"

    run(scenario())


def test_more_time_has_a_bound(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, start_timeout=0.2, start_limit=0.6) as it:
            with pytest.raises(StartError, match=r"within 0\.6s"):
                await it.supervisor.swap(it.launch("early=EXTEND_TIMEOUT_USEC=9000000000", "boot=30"))

    run(scenario())


def test_an_application_that_has_said_so_once_must_say_so_from_then_on(tmp_path: Path) -> None:
    learned: list[bool] = []

    async def scenario() -> None:
        async with supervised(tmp_path, start_timeout=1, learned=lambda: learned.append(True)) as it:
            await it.supervisor.start(it.launch("say=READY=1"))
            first = it.pid
            with pytest.raises(
                StartError, match=r"within 1s, as earlier versions did\. If it no longer does, .*--ready grace"
            ):
                await it.supervisor.swap(it.launch(version="v2"))
            assert (it.pid, learned, it.supervisor.speaks_notify) == (first, [True], True)
            await it.supervisor.swap(it.launch("boot=0.5", "say=READY=1", version="v3"))
            assert learned == [True], "it is told once"

    run(scenario())


def test_saying_so_late_counts_for_the_next_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, start_grace=0.2) as it:
            await it.supervisor.start(it.launch("late=0.5"))
            assert not it.supervisor.speaks_notify
            await until(lambda: it.supervisor.speaks_notify)
            await it.supervisor.restart()
            assert it.events.of(events.GENERATION_READY)[-1]["how"] == "it said READY=1"

    run(scenario())


def test_what_an_earlier_dewy_has_learnt_counts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, speaks_notify=True, start_timeout=0.3) as it:
            with pytest.raises(StartError, match="as earlier versions did"):
                await it.supervisor.swap(it.launch())

    run(scenario())


def test_a_version_that_was_ready_without_a_word_can_come_back_without_one(tmp_path: Path) -> None:
    """Else an application would be down for good because a later version spoke sd_notify and was taken back."""

    async def scenario() -> None:
        async with supervised(tmp_path, start_timeout=0.5) as it:
            silent = it.launch()
            await it.supervisor.start(silent)
            await it.supervisor.swap(it.launch("say=READY=1", version="v2"))
            with pytest.raises(StartError):
                await it.supervisor.swap(silent)
            await it.supervisor.swap(replace(silent, says_ready=False))
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.pid and it.supervisor.status.generations[-1].number == 5)
            assert (await it.ask())["pid"] == it.pid

    run(scenario())


class TestNotifySocket:
    def test_garbage_oversize_and_floods_are_survived(self, tmp_path: Path) -> None:
        heard: list[Notification] = []

        async def scenario() -> None:
            notify = NotifySocket(heard.append, lambda _pid: False)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.connect(f"\0{notify.address[1:]}")
                sender.setblocking(False)
                sender.send(b"READY=1" + 8192 * b"x")
                sender.send(b"")
                sender.send(os.urandom(2000))
                await asyncio.sleep(0)
                for _ in range(2000):
                    try:
                        sender.send(b"STATUS=x")
                    except BlockingIOError:
                        await asyncio.sleep(0)
                await until(lambda: _sent(sender, b"READY=1"))
                await until(lambda: any(said.ready for said in heard))
            assert not heard[0].ready, "a datagram that is too long is none of ours"
            notify.close()
            notify.close()

        run(scenario())

    def test_descriptors_that_are_sent_along_are_not_taken(self, tmp_path: Path) -> None:
        heard: list[Notification] = []

        async def scenario() -> None:
            notify = NotifySocket(heard.append, lambda _pid: False)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.connect(f"\0{notify.address[1:]}")
                before = open_files()
                for _ in range(5):
                    socket.send_fds(sender, [b"READY=1\nFDSTORE=1"], [0, 1])
                await until(lambda: len(heard) == 5)
                assert open_files() == before
            notify.close()

        run(scenario())

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
    @pytest.mark.parametrize("member", [True, False])
    def test_another_user_is_heard_only_if_it_belongs_to_the_generation(self, tmp_path: Path, *, member: bool) -> None:
        heard: list[Notification] = []

        async def scenario() -> None:
            notify = NotifySocket(heard.append, lambda _pid: member)
            if (child := os.fork()) == 0:
                os.setuid(65534)
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"READY=1", f"\0{notify.address[1:]}")
                os._exit(0)
            os.waitpid(child, 0)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"STATUS=last", f"\0{notify.address[1:]}")
            await until(lambda: heard and heard[-1].status == "last")
            assert any(said.ready for said in heard) is member
            notify.close()

        run(scenario())


def _sent(sender: socket.socket, datagram: bytes) -> bool:
    try:
        return bool(sender.send(datagram))
    except BlockingIOError:
        return False
