"""What systemd is told of dewy, over a socket as systemd has it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy import events
from dewy.events import EventKind
from dewy.redaction import Redactor
from dewy.statusline import MOST_CHARACTERS, StatusLine, one_line
from dewy.stream import EventStream
from dewy.systemd import SystemdNotifier, reloading, subscribe_systemd, watchdog, watchdog_interval
from dewy.types import Event, FieldValue
from service_manager import MOST_BYTES, ServiceManager, service_manager

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceManager]:
    with service_manager(tmp_path / "notify" if request.param == "path" else None) as listening:
        yield listening


def whole(kind: EventKind, given: dict[str, FieldValue]) -> dict[str, FieldValue]:
    """All the fields of an event: those that the test is about, and something for the others."""
    names = {name for _, name, _, _ in Formatter().parse(kind.text) if name} | set(kind.more)
    return {**dict.fromkeys(names, "something"), **given}


class Told:
    """A stream with systemd at its end."""

    def __init__(self, manager: ServiceManager) -> None:
        self.stream = EventStream(Redactor())
        subscribe_systemd(self.stream, {"NOTIFY_SOCKET": manager.address}, stop_limit=45.0)
        self._manager = manager

    def say(self, kind: EventKind, **fields: FieldValue) -> None:
        """Says that something happened."""
        self.stream.emit(kind, **whole(kind, fields))

    def said(self, kind: EventKind, **fields: FieldValue) -> list[str]:
        """Says that something happened; what systemd is told of it."""
        self.say(kind, **fields)
        return self._manager.read()


@pytest.fixture
def told(manager: ServiceManager) -> Iterator[Told]:
    end = Told(manager)
    yield end
    end.stream.close(5)


def start(told: Told, version: str = "v1") -> None:
    started = told.said(events.DEWY_STARTED, dewy_version="1.0.0", command="server", version=version)
    assert started == [f"STATUS=dewy 1.0.0: starting {version}"]
    assert told.said(events.DEWY_READY, version=version) == ["READY=1", f"STATUS=dewy 1.0.0: {version} runs"]


# --------------------------------------------------------------------------------------------------- ready, stopping


def test_systemd_learns_when_dewy_is_up_and_when_it_stops_and_how_long_that_may_take(told: Told) -> None:
    start(told)
    assert told.said(events.DEWY_STOPPING, reason="SIGTERM") == [
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=50000000",
        "STATUS=dewy 1.0.0: v1 runs; stopping (SIGTERM)",
    ]


def test_without_systemd_nothing_is_subscribed_and_nothing_is_sent() -> None:
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": "no/absolute/path"}):
        assert not SystemdNotifier(environ).listens
        assert not SystemdNotifier(environ)("READY=1")


def test_a_service_manager_that_is_gone_or_does_not_read_delays_nobody(tmp_path: Path) -> None:
    assert not SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})("READY=1", patience=5.0)
    with service_manager(tmp_path / "notify") as deaf:
        notify = SystemdNotifier({"NOTIFY_SOCKET": deaf.address})
        sent = 0
        while notify("WATCHDOG=1"):
            sent += 1
            assert sent < 100_000
        began = time.monotonic()
        assert not notify("READY=1", patience=0.3)
        assert 0.2 < time.monotonic() - began < 3
        deaf.pending()
        assert notify("READY=1")


def test_a_status_that_was_not_delivered_is_said_with_the_next_event(tmp_path: Path) -> None:
    stream = EventStream(Redactor())
    subscribe_systemd(stream, {"NOTIFY_SOCKET": str(tmp_path / "notify")}, stop_limit=1.0)
    undelivered = threading.Event()
    stream.subscribe("marker", lambda _: undelivered.set(), lambda name, _level: name == "registry.failed")
    stream.emit(events.DEWY_READY, version="v1")
    stream.emit(events.REGISTRY_FAILED, **whole(events.REGISTRY_FAILED, {"error": "it is down"}))
    assert undelivered.wait(5)
    with service_manager(tmp_path / "notify") as manager:
        stream.emit(events.GENERATION_READY, **whole(events.GENERATION_READY, {"version": "v1"}))
        assert "it is down" in manager.wait_for("STATUS=dewy: v1 runs; last failure")
        stream.close(5)


# ------------------------------------------------------------------------------------------------ restart, re-execution


def restart(told: Told) -> list[str]:
    return told.said(events.GENERATION_STARTED, version="v1", reason="restart")


def test_while_the_application_is_restarted_the_unit_is_reloading(told: Told) -> None:
    start(told)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reload, stamp, status = restart(told)
    assert reload == "RELOADING=1"
    assert status == "STATUS=dewy 1.0.0: v1 runs; restarting the application"
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert told.said(events.APPLICATION_RESTARTED, version="v1") == [
        "READY=1",
        "STATUS=dewy 1.0.0: v1 runs",
    ]


def test_a_restart_that_fails_ends_the_reload_too(told: Told) -> None:
    start(told)
    restart(told)
    ready, status = told.said(events.RESTART_FAILED, error="no such file")
    assert ready == "READY=1"
    assert "v1 runs; last failure" in status
    restart(told)
    ready, status = told.said(events.APPLICATION_CRASHED, version="v1")
    assert ready == "READY=1"
    assert "v1 is down and will be started again" in status


def test_a_start_after_a_crash_or_for_a_new_version_is_no_reload(told: Told, manager: ServiceManager) -> None:
    start(told)
    for reason in ("swap", "crash", "start"):
        told.say(events.GENERATION_STARTED, version="v1", reason=reason)
        told.say(events.GENERATION_READY, version="v1")
    told.stream.close(5)
    assert manager.pending() == []


def test_a_restart_before_dewy_is_up_does_not_make_it_ready_too_early(told: Told) -> None:
    told.say(events.GENERATION_STARTED, version="v1", reason="restart")
    told.say(events.APPLICATION_RESTARTED, version="v1")
    assert told.said(events.DEWY_READY, version="v1")[0].startswith("STATUS=")
    told.stream.close(5)


def test_a_dewy_that_is_replaced_says_so_and_one_that_could_not_be_is_ready_again(manager: ServiceManager) -> None:
    def replace() -> None:
        with reloading({"NOTIFY_SOCKET": manager.address}):
            said = manager.read()
            assert (said[0], said[1].partition("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
            os.execv("/no/such/program", ["x"])

    with pytest.raises(FileNotFoundError):
        replace()
    assert manager.read()[0] == "READY=1"


# -------------------------------------------------------------------------------------------------------- the status


Happened = tuple[EventKind, dict[str, FieldValue]]


def text_of(happened: Happened) -> str:
    kind, fields = happened
    return kind.text.format_map(whole(kind, fields))


def line_after(*happened: Happened) -> str:
    line = StatusLine()
    for kind, fields in happened:
        line.take(Event(name=kind.name, level=kind.level, text=text_of((kind, fields)), at=NOON, fields=whole(kind, fields)))
    return str(line)


STARTED: Happened = (events.DEWY_STARTED, {"dewy_version": "1.0.0", "command": "server", "version": "v1"})
READY: Happened = (events.DEWY_READY, {"version": "v1"})
DEPLOYING: Happened = (events.DEPLOYMENT_STARTED, {"version": "v2"})
FAILED: Happened = (events.DEPLOYMENT_FAILED, {"version": "v2", "error": "it ended"})
DONE: Happened = (events.DEPLOYMENT_DONE, {"version": "v3"})
SILENT: Happened = (events.REGISTRY_FAILED, {"error": "time-out"})
ANSWERS: Happened = (events.REGISTRY_RECOVERED, {})


def test_the_line_says_what_runs_what_dewy_does_and_what_went_wrong_last() -> None:
    assert line_after(STARTED) == "dewy 1.0.0: starting v1"
    assert line_after(STARTED, READY) == "dewy 1.0.0: v1 runs"
    assert line_after(STARTED, READY, DEPLOYING) == "dewy 1.0.0: v1 runs; deploying v2"
    failure = f"last failure 2026-03-15 12:00:00Z: {text_of(FAILED)}"
    assert line_after(STARTED, READY, DEPLOYING, FAILED) == f"dewy 1.0.0: v1 runs; {failure}"
    assert line_after(STARTED, READY, DEPLOYING, FAILED, SILENT, ANSWERS) == f"dewy 1.0.0: v1 runs; {failure}"
    assert "time-out" in line_after(STARTED, READY, DEPLOYING, FAILED, SILENT)
    assert line_after(STARTED, READY, FAILED, DONE) == "dewy 1.0.0: v3 runs"


def test_where_nothing_is_deployed_yet_or_files_alone_are_the_line_says_that() -> None:
    nothing = (events.DEWY_STARTED, {**STARTED[1], "version": "nothing yet"})
    assert line_after(nothing, (events.DEWY_READY, {"version": "nothing yet"})) == "dewy 1.0.0: nothing runs yet"
    assets = (events.DEWY_STARTED, {**STARTED[1], "command": "assets"})
    assert line_after(assets, READY) == "dewy 1.0.0: v1 is current"


@given(text=st.text(max_size=3000))
def test_nothing_that_others_say_becomes_an_order_to_systemd_or_makes_the_message_too_long(text: str) -> None:
    line = one_line(f"{text}\nMAINPID=1\r\nSTOPPING=1{text}")
    assert "\n" not in line
    assert line.isprintable()
    assert len(line) <= MOST_CHARACTERS
    assert len(line.encode()) <= MOST_BYTES - 200


def test_a_hostile_version_stays_within_its_line(told: Told) -> None:
    start(told)
    assert told.said(events.DEPLOYMENT_DONE, version="v2\nMAINPID=1\udc80") == ["STATUS=dewy 1.0.0: v2 MAINPID=1? runs"]


# ------------------------------------------------------------------------------------------------------ the watchdog


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": ""}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_this_process_or_not_at_all(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_interval(environ) == seconds


def watched(manager: ServiceManager, usec: int) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(usec), "WATCHDOG_PID": str(os.getpid())}


def test_signs_of_life_come_in_less_than_half_of_the_interval(manager: ServiceManager) -> None:
    async def live() -> None:
        with watchdog(watched(manager, 300_000), lambda: True):
            for _ in range(5):
                began = time.monotonic()
                assert await asyncio.to_thread(manager.read, 5) == ["WATCHDOG=1"]
                assert time.monotonic() - began < 1  # a busy machine is slow; the interval itself is asserted below

    began = time.monotonic()
    asyncio.run(live())
    assert time.monotonic() - began >= 0.3  # the first at once, four more a tenth of a second apart


def test_a_main_thread_that_hangs_shows_no_life(manager: ServiceManager) -> None:
    async def hang() -> int:
        with watchdog(watched(manager, 30_000), lambda: True):
            await asyncio.to_thread(manager.read, 5)
            manager.pending()
            time.sleep(0.2)  # the hang
            return len(manager.pending())

    assert asyncio.run(hang()) == 0


def test_a_deployer_that_has_ended_leaves_dewy_to_the_watchdog(
    manager: ServiceManager, caplog: pytest.LogCaptureFixture
) -> None:
    alive = [True]

    async def live() -> None:
        with watchdog(watched(manager, 60_000), lambda: alive[0]):
            await asyncio.to_thread(manager.wait_for, "WATCHDOG=1")
            alive[0] = False
            await asyncio.to_thread(manager.wait_for, "STATUS=the thread that deploys has ended")
            await asyncio.sleep(0.1)

    with caplog.at_level(logging.ERROR):
        asyncio.run(live())
    assert manager.pending() == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_where_nobody_watches_there_is_no_timer(manager: ServiceManager) -> None:
    async def timers() -> int:
        loop = asyncio.get_running_loop()
        with watchdog({"NOTIFY_SOCKET": manager.address}, lambda: True), watchdog({"WATCHDOG_USEC": "1000"}, lambda: True):
            return len(loop._scheduled)  # type: ignore[attr-defined]  # asyncio has no other way to count its timers

    assert asyncio.run(timers()) == 0
    assert manager.pending() == []


def test_after_the_block_there_are_no_more_signs_of_life(manager: ServiceManager) -> None:
    async def live() -> None:
        with watchdog(watched(manager, 30_000), lambda: True):
            await asyncio.to_thread(manager.read, 5)
        manager.pending()
        await asyncio.sleep(0.1)

    asyncio.run(live())
    assert manager.pending() == []


def test_nothing_stays_open_between_messages(manager: ServiceManager) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    notify = SystemdNotifier({"NOTIFY_SOCKET": manager.address})
    assert all(notify("WATCHDOG=1") for _ in range(5))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
