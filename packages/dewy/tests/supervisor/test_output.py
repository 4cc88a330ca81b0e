"""What the application prints comes through as it is, and its last lines are kept."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervision import run, supervised, until

from dewy import events
from dewy.errors import StartError
from dewy.supervisor.output import Tail

READY = "say=READY=1"


class TestTail:
    def test_it_keeps_the_last_fifty_lines(self) -> None:
        tail = Tail()
        for number in range(1000):
            tail.add(0, f"{number}\n".encode())
        assert tail.lines() == tuple(str(number) for number in range(950, 1000))

    def test_a_line_without_an_end_is_a_line_and_two_sources_do_not_share_one(self) -> None:
        tail = Tail()
        for source, chunk in ((0, b"one "), (0, b"line\ntwo"), (1, b"error\n"), (0, b"three\r\n\xff")):
            tail.add(source, chunk)
        assert tail.lines() == ("one line", "two", "error", "three", "\ufffd")

    def test_an_endless_line_is_cut_and_says_so(self) -> None:
        tail = Tail()
        for _ in range(100):
            tail.add(0, 65536 * b"x")
        (line,) = tail.lines()
        assert line.startswith("…x")
        assert len(line) <= 16 * 1024 + 1

    @given(st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=30_000)), max_size=20))
    def test_it_never_grows(self, chunks: list[tuple[int, bytes]]) -> None:
        tail = Tail()
        for source, chunk in chunks:
            tail.add(source, chunk)
            assert len(tail.lines()) <= 50
            assert sum(map(len, tail.lines())) <= 16 * 1024 + 1


def test_both_outputs_come_through_byte_by_byte(tmp_path: Path) -> None:
    out, error = tmp_path / "out", tmp_path / "error"

    async def scenario() -> None:
        with out.open("wb") as one, error.open("wb") as two:
            async with supervised(tmp_path, outputs=(one.fileno(), two.fileno())) as it:
                await it.supervisor.start(
                    it.shell("head -c 3000000 /dev/zero; printf 'a\\0b\\377'; echo oh >&2; exec sleep 60")
                )
                await until(lambda: out.stat().st_size == 3_000_004)
                await until(lambda: error.read_bytes() == b"oh\n")
        assert out.read_bytes().endswith(b"\0\0a\0b\xff")

    run(scenario())


def test_the_last_words_before_an_exit_come_through(tmp_path: Path) -> None:
    out = tmp_path / "out"

    async def scenario() -> None:
        with out.open("wb") as one:
            async with supervised(tmp_path, outputs=(one.fileno(), one.fileno())) as it:
                for number in range(10):
                    with pytest.raises(StartError) as caught:
                        await it.supervisor.swap(it.shell(f"echo word {number} >&2; exit 1"))
                    assert caught.value.output == (f"word {number}",)
                    assert out.read_text().endswith(f"word {number}\n")

    run(scenario())


def test_a_grandchild_that_holds_the_pipe_holds_nothing_up(tmp_path: Path) -> None:
    """A daemon of its own session is no member of the group and keeps what it has inherited."""

    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            began = time.monotonic()
            with pytest.raises(StartError) as caught:
                await it.supervisor.swap(it.shell("setsid sleep 2 & echo gone; exit 1"))
            assert time.monotonic() - began < 1.5
            assert caught.value.output == ("gone",)

    run(scenario())


def test_a_chatty_application_whose_output_nobody_takes_is_held_up_alone(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    async def scenario() -> None:
        async with supervised(tmp_path, outputs=(writer, writer)) as it:
            await it.supervisor.start(it.launch(READY))
            await it.supervisor.swap(it.shell(f"yes & exec {sys.executable} -I -S {it.launch(READY).argv[3]} {READY}"))
            lags = []
            for _ in range(50):
                asked = time.monotonic()
                await asyncio.sleep(0.005)
                lags.append(time.monotonic() - asked)
            assert sorted(lags)[25] < 0.1, "the main thread goes on"
            assert (await it.ask())["pid"] == it.pid
            loop = asyncio.get_running_loop()
            loop.call_later(0.3, loop.add_reader, reader, os.read, reader, 1 << 20)
            await it.supervisor.stop()
            loop.remove_reader(reader)

    try:
        run(scenario())
    finally:
        os.close(reader)
        os.close(writer)


def test_an_output_that_is_closed_or_breaks_is_survived(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    async def scenario() -> None:
        async with supervised(tmp_path, outputs=(writer, None)) as it:
            await it.supervisor.start(it.shell("echo one; echo two >&2; seq 100000; touch done; exec sleep 60"))
            await until((tmp_path / "done").exists)

    try:
        run(scenario())
    finally:
        os.close(writer)


def test_a_non_blocking_output_gets_everything(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    async def scenario() -> None:
        async with supervised(tmp_path, outputs=(writer, writer)) as it:
            await it.supervisor.start(it.shell("head -c 500000 /dev/zero; exec sleep 60"))
            count = 0
            while count < 500_000:
                count += len(await asyncio.to_thread(os.read, reader, 65536))
                await asyncio.sleep(0.001)
            assert count == 500_000

    try:
        run(scenario())
    finally:
        os.close(reader)
        os.close(writer)


CLOSED = """
import asyncio, os, sys
sys.path[:0] = [{here!r}]
from pathlib import Path
from supervision import *
from dewy.supervisor.output import standard_outputs
async def scenario():
    assert standard_outputs() == (None, None)
    async with supervised(Path({root!r}), outputs=standard_outputs()) as it:
        await it.supervisor.start(it.shell("echo to nobody; exec sleep 60"))
        await it.supervisor.restart()
    (Path({root!r}) / "well").touch()
run(scenario())
"""


def test_a_dewy_without_standard_outputs_works(tmp_path: Path) -> None:
    """Descriptors 1 and 2 then belong to other files of dewy, into which nobody may print."""
    script = CLOSED.format(here=str(Path(__file__).parent), root=str(tmp_path))
    command = ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert (tmp_path / "well").exists()


def test_nothing_is_done_while_nothing_happens(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            await asyncio.sleep(0.1)
            before = _switches()
            began = time.process_time()
            await asyncio.sleep(1)
            assert time.process_time() - began < 0.01
            assert _switches() - before < 10
            assert not it.events.of(events.APPLICATION_CRASHED)

    run(scenario())


def _switches() -> int:
    """Voluntary context switches of all threads of this process."""
    total = 0
    for status in Path("/proc/self/task").glob("*/status"):
        total += int(status.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total
