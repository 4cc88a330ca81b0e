"""The finished command as a service of Type=notify: what the service manager gets to know, and when."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dewy.supervisor.procfs import process_info
from publishing import Directory, pack
from running import Running, eventually, running
from service_manager import ServiceManager, service_manager

WORKER = pack({"work": (b"#!/bin/sh\nexec sleep 60\n", 0o755)})
BROKEN = pack({"work": (b"#!/bin/sh\nexit 3\n", 0o755)})


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    with service_manager(tmp_path / "notify") as listening:
        yield listening


def arguments(registry: Directory, root: Path) -> list[str]:
    more = ["--start-grace", "0.1s", "--stop-timeout", "5s", "--", "./current/work"]
    return ["server", "--registry", registry.url, "-C", str(root), "-i", "0.2s", *more]


def test_systemd_knows_when_dewy_is_up_what_it_does_and_when_it_stops(
    registry: Directory, root: Path, manager: ServiceManager
) -> None:
    registry.publish("v1.0.0", WORKER)
    with running(*arguments(registry, root), NOTIFY_SOCKET=manager.address) as dewy:
        manager.wait_for("READY=1")
        dewy.wait_for("dewy.ready")
        wait_for_part(manager, ": v1.0.0 runs")
        registry.publish("v1.1.0", BROKEN)
        wait_for_part(manager, "v1.0.0 runs; last failure")
        dewy.signal(signal.SIGUSR1)
        manager.wait_for("RELOADING=1")
        manager.wait_for("READY=1")
        assert dewy.stop() == 0
        manager.wait_for("STOPPING=1")
        assert "EXTEND_TIMEOUT_USEC=25000000" in manager.messages[-1]
        assert not [line for message in manager.pending() for line in message if line.startswith("WATCHDOG")]


def wait_for_part(manager: ServiceManager, part: str) -> None:
    """Waits for a status that has this in it."""
    eventually(lambda: part in manager.wait_for("STATUS="))


def test_the_watchdog_is_served_while_dewy_works_and_while_it_stops_and_not_when_it_hangs(
    registry: Directory, root: Path, manager: ServiceManager
) -> None:
    registry.publish(
        "v1.0.0", pack({"work": (b"#!/bin/sh\ntrap 'sleep 1; exit' TERM\nwhile :; do sleep 0.1; done\n", 0o755)})
    )
    with running(*arguments(registry, root), NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="600000") as dewy:
        dewy.wait_for("deployment.done")
        manager.pending()
        for _ in range(3):
            manager.wait_for("WATCHDOG=1", 5)
        dewy.signal(signal.SIGSTOP)
        eventually(lambda: process_info(dewy.pid).state == "T")
        manager.pending()
        with pytest.raises(AssertionError, match="nothing more"):
            manager.wait_for("WATCHDOG=1", 1)
        dewy.signal(signal.SIGCONT)
        dewy.signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1", 5)
        manager.wait_for("WATCHDOG=1", 5)


def test_a_dewy_that_the_watchdog_aborts_says_where_it_was(registry: Directory, root: Path, manager: ServiceManager) -> None:
    registry.publish("v1.0.0", WORKER)
    dewy = Running(arguments(registry, root), NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="60000000")
    try:
        dewy.wait_for("deployment.done")
        dewy.signal(signal.SIGABRT)
        assert dewy.process.wait(10) == -signal.SIGABRT
    finally:
        dewy.kill()
    assert any("asyncio" in line for line in dewy.other), dewy.other
    with running(*arguments(registry, root)) as after:
        after.wait_for("dewy.ready")
        assert after.of("orphan.stopped"), "the application had served on"


def test_the_application_is_not_told_of_systemd(registry: Directory, root: Path, manager: ServiceManager) -> None:
    registry.publish("v1.0.0", pack({"work": (b"#!/bin/sh\nenv >env\nexec sleep 60\n", 0o755)}))
    with running(*arguments(registry, root), NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="60000000") as dewy:
        dewy.wait_for("deployment.done")
        found = dict(line.partition("=")[::2] for line in (root / "env").read_text().splitlines())
    assert found["NOTIFY_SOCKET"] != manager.address
    assert "WATCHDOG_USEC" not in found
