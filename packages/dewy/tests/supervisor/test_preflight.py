"""Preflights: a version beside the one that serves, on sockets that no user reaches; turns while ``current`` changes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from supervision import APPLICATION, LIMIT, alive, run, supervised, until

from dewy.errors import DewyError, HostError, StartError
from dewy.supervisor.addresses import Address, parse_ports
from dewy.supervisor.preflight import PREFLIGHT_VARIABLE
from dewy.supervisor.sockets import bind_private
from dewy.supervisor.turns import Turns

READY = "say=READY=1"


async def ask(address: Address) -> dict[str, int]:
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"?\n")
        answer: dict[str, int] = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return answer


def test_the_candidate_answers_at_its_own_address_and_never_at_the_public_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            candidate = await it.supervisor.preflight(it.launch(READY, version="v2"))
            private = candidate.addresses[0]
            assert (private.host, private.port == it.port) == ("127.0.0.1", False)
            assert (await ask(private))["generation"] == 2
            for _ in range(20):
                assert (await it.ask())["generation"] == 1
            assert it.supervisor.status.current
            assert it.supervisor.status.current.version == "v1"
            assert candidate.ended() is None
            await candidate.stop(5)
            with pytest.raises(OSError, match="failed"):
                await ask(private)
            await it.only(it.pid)

    run(scenario())


def test_it_knows_that_it_is_one_and_finds_its_sockets_under_the_public_names(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ports=2) as it:
            script = f'env > "{tmp_path}/seen.$DEWY_VERSION"; exec sleep 60'
            for version in ("v1", "v2"):
                launch = it.shell(script, version)
                launch.environ["DEWY_VERSION"] = version  # type: ignore[index]
                if version == "v1":
                    await it.supervisor.start(launch)
                else:
                    candidate = await it.supervisor.preflight(launch)
                    await candidate.stop(5)
            public, private = (
                dict(line.partition("=")[::2] for line in (tmp_path / f"seen.{version}").read_text().splitlines())
                for version in ("v1", "v2")
            )
            assert private[PREFLIGHT_VARIABLE] == "1"
            assert PREFLIGHT_VARIABLE not in public
            assert private["LISTEN_FDNAMES"] == public["LISTEN_FDNAMES"]
            assert private["LISTEN_FDS"] == public["LISTEN_FDS"] == "2"
            assert private["SERVER_STARTER_PORT"] != public["SERVER_STARTER_PORT"]
            assert all(pair.startswith("127.0.0.1:") for pair in private["SERVER_STARTER_PORT"].split(";"))

    run(scenario())


def test_one_that_is_not_ready_is_gone_again_and_what_serves_serves_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            with pytest.raises(StartError, match="exit status 7") as caught:
                await it.supervisor.preflight(it.launch("fail=7", version="v2"))
            assert caught.value.code == 7
            assert caught.value.output == ("about to fail",)
            await it.only(it.pid)
            assert (await it.ask())["generation"] == 1
            assert it.supervisor.status.last_failure is None

    run(scenario())


def test_one_that_dies_later_says_how(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            candidate = await it.supervisor.preflight(it.launch(READY))
            pid = it.supervisor.status.generations[0].pid
            os.kill(pid, signal.SIGKILL)
            error = await until(candidate.ended)
            assert error.code == -signal.SIGKILL
            assert "killed by SIGKILL in its preflight" in str(error)
            await candidate.stop(5)
            assert it.supervisor.status.state == "idle", "nobody starts it again"

    run(scenario())


def test_a_stop_ends_it_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            candidate = await it.supervisor.preflight(it.launch(READY))
            pid = it.supervisor.status.generations[0].pid
            await it.supervisor.stop()
            assert not alive(pid)
            await candidate.stop(5)  # whoever had it does so anyhow

    run(scenario())


def test_stand_ins_are_of_the_same_kind(tmp_path: Path) -> None:
    """And for this host alone: loopback, or a file in a directory that is its owner's."""
    public = parse_ports(["0.0.0.0:8000", "[::1]:8001", "/run/app.sock", "8002"])
    with bind_private(public, tmp_path) as private:
        bound = private.addresses
        assert [address.kind for address in bound] == ["ipv4", "ipv6", "unix", "ipv4"]
        assert [address.fd_name for address in bound] == [address.fd_name for address in public]
        assert [bound[0].host, bound[1].host, bound[3].host] == ["127.0.0.1", "::1", "127.0.0.1"]
        assert bound[2].path == bound[2].spec == str(tmp_path / "preflight-2.sock")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(bound[2].path)
    assert list(tmp_path.iterdir()) == []


def test_a_root_with_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    with bind_private(parse_ports(["/run/app.sock"]), deep) as private:
        path = Path(private.addresses[0].path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.parent.exists()
    assert list(deep.iterdir()) == []


# --------------------------------------------------------------------------------------------------------------- turns


def test_while_current_changes_what_died_is_not_started_again_and_then_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            await it.supervisor.unsettle(LIMIT)
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.crashes)
            await asyncio.sleep(0.5)  # its back-off is 0.1 s at most
            assert it.supervisor.status.starts == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await it.supervisor.restart()
            await it.supervisor.swap(it.launch(READY, version="v2"))  # the deployer's own start is not kept from it
            it.supervisor.settle()
            assert (await it.ask())["generation"] == 2

    run(scenario())


def test_what_hangs_while_it_is_started_again_is_given_up_for_something_better(tmp_path: Path) -> None:
    async def scenario() -> None:
        hangs = tmp_path / "hangs"
        script = f"test -e {hangs} && exec sleep 600; exec {sys.executable} -I -S {APPLICATION} {READY}"
        async with supervised(tmp_path, start_timeout=600) as it:
            await it.supervisor.start(it.shell(script))
            hangs.touch()
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.starts == 2)
            hanging = it.supervisor.status.generations[0].pid
            began = time.monotonic()
            await it.supervisor.unsettle(LIMIT)
            await it.supervisor.swap(it.launch(READY, version="v2"))
            it.supervisor.settle()
            assert time.monotonic() - began < 5
            assert not alive(hanging)
            await it.only(it.pid)

    run(scenario())


def test_a_version_that_never_becomes_ready_gives_way_to_what_died_meanwhile(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, start_timeout=600) as it:
            await it.supervisor.start(it.launch(READY))
            swap = asyncio.create_task(it.supervisor.swap(it.launch("boot=600", READY, version="v2"), gives_way=True))
            await until(lambda: it.supervisor.status.starts == 2)
            began = time.monotonic()
            os.kill(it.pid, signal.SIGKILL)
            with pytest.raises(HostError, match="died meanwhile"):
                await swap
            assert (await it.ask())["generation"] == 3
            assert time.monotonic() - began < 5
            assert it.supervisor.status.current
            assert it.supervisor.status.current.version == "v1"

    run(scenario())


@pytest.mark.parametrize(("gives_way", "backoff"), [(True, 10.0), (False, 0.05)], ids=["soon ready", "a way back"])
def test_one_that_is_ready_before_that_is_due_or_is_a_way_back_takes_over(
    tmp_path: Path, gives_way: bool, backoff: float
) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, backoff_first=backoff, backoff_most=10.0) as it:
            await it.supervisor.start(it.launch(READY))
            launch = it.launch("boot=1", READY, version="v2")
            swap = asyncio.create_task(it.supervisor.swap(launch, gives_way=gives_way))
            await until(lambda: it.supervisor.status.starts == 2)
            os.kill(it.pid, signal.SIGKILL)
            await swap
            assert (await it.ask())["generation"] == 2
            await it.only(it.pid)

    run(scenario())


def test_after_three_deaths_in_a_row_a_newer_version_is_let_through(tmp_path: Path) -> None:
    """It may be what mends them: or an application that always dies soon could never be replaced."""

    async def scenario() -> None:
        async with supervised(tmp_path, start_grace=0.05) as it:
            await it.supervisor.start(it.shell("sleep 0.2; exit 3"))
            await until(lambda: it.supervisor.status.crashes >= 4)
            slow = replace(it.launch("boot=1", READY, version="v2"), says_ready=True)
            await it.supervisor.swap(slow, gives_way=True)
            assert it.supervisor.status.current
            assert it.supervisor.status.current.version == "v2"

    run(scenario())


def test_where_the_better_one_fails_what_ran_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.crashes)
            await it.supervisor.unsettle(LIMIT)
            with pytest.raises(StartError):
                await it.supervisor.swap(it.launch("fail=7", version="v2"))
            it.supervisor.settle()
            await until(lambda: it.pid)
            current = it.supervisor.status.current
            assert current
            assert current.version == "v1"

    run(scenario())


def test_a_deployer_that_never_settles_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.start(it.launch(READY))
            await it.supervisor.unsettle(0.5)
            began = time.monotonic()
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.supervisor.status.starts == 2)
            assert time.monotonic() - began >= 0.4

    run(scenario())


def test_whoever_has_a_turn_ends_it_before_current_changes() -> None:
    async def scenario() -> None:
        turns, order = Turns(), list[str]()

        async def start() -> None:
            async with turns.steady():
                await asyncio.sleep(0.1)
                order.append("started")

        task = asyncio.create_task(start())
        await asyncio.sleep(0)
        await turns.unsettle(5)
        order.append("unsettled")
        await task
        assert order == ["started", "unsettled"]

    run(scenario())


def test_after_a_stop_nothing_is_tried(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path) as it:
            await it.supervisor.stop()
            with pytest.raises(DewyError, match="shutting down"):
                await it.supervisor.preflight(it.launch(READY))

    run(scenario())
