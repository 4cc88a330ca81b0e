"""An operator's command does not wait for a registry or a download that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from deployments import World
from dewy import events
from dewy.backends.file_artifact import FileArtifact
from dewy.backends.file_catalog import FileCatalog
from dewy.errors import DewyError
from dewy.operators.inbox import Inbox
from dewy.waker import Interrupted, Stopping, Waker


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, interval=0.1)
    for version in ("v1.0.0", "v1.1.0"):
        world.publish(version)
        world.deploy()
    return world


@contextmanager
def at_work(world: World) -> Iterator[None]:
    thread = threading.Thread(target=world.deployer.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        world.wiring.runtime.waker.stop()
        thread.join(10)
        assert not thread.is_alive()


class Hanging:
    """In place of a method: hangs until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> Any:
        self.entered.set()
        self.let_go.wait(30)
        raise OSError("it was let go")


@pytest.mark.parametrize("kind", ["registry", "download"])
def test_a_rollback_goes_before_what_hangs(world: World, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    hanging = Hanging()
    if kind == "registry":
        monkeypatch.setattr(FileCatalog, "versions", hanging)
    else:
        monkeypatch.setattr(FileArtifact, "download", hanging)
        world.publish("v1.2.0")
    with at_work(world):
        assert hanging.entered.wait(10)
        began = time.monotonic()
        done = world.deployer.inbox.ask(lambda: world.deployer.operations.roll_back(None, "alice")).result(10)
        assert time.monotonic() - began < 2
        monkeypatch.undo()
        hanging.let_go.set()
    assert done.release.version == "v1.0.0"
    assert world.processes.serving is not None
    assert "deployment.failed" not in world.said.names
    assert bool(world.said.of(events.DEPLOYMENT_INTERRUPTED)) is (kind == "download")
    assert world.leftovers() == []


def test_what_was_given_up_is_done_afterwards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = Hanging()
    real = FileArtifact.download

    def download(self: FileArtifact, to: BinaryIO) -> Any:
        return real(self, to) if hanging.entered.is_set() else hanging()

    monkeypatch.setattr(FileArtifact, "download", download)
    world.publish("v1.2.0")
    with at_work(world):
        assert hanging.entered.wait(10)
        world.deployer.inbox.ask(lambda: world.deployer.operations.hold("v9", "alice")).result(10)
        deadline = time.monotonic() + 10
        while world.serving() != "v1.2.0":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        hanging.let_go.set()


def test_what_is_asked_for_wakes_the_deployer(world: World) -> None:
    world.start_dewy(interval=600)
    with at_work(world):
        deadline = time.monotonic() + 10
        while "registry.polled" not in world.said.names:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        world.deployer.inbox.ask(lambda: world.deployer.operations.hold("v9", "alice")).result(5)


def test_what_fails_is_told_to_who_asked_and_the_loop_goes_on(world: World) -> None:
    with at_work(world):
        with pytest.raises(DewyError, match="is not on hold"):
            world.deployer.inbox.ask(lambda: world.deployer.operations.unhold("v9", "alice")).result(5)
        with pytest.raises(ZeroDivisionError):
            world.deployer.inbox.ask(lambda: 1 // 0).result(5)
        assert world.deployer.inbox.ask(lambda: "still here").result(5) == "still here"


def test_when_dewy_stops_nobody_is_left_waiting(world: World) -> None:
    with at_work(world):
        pass
    with pytest.raises(DewyError, match="shutting down"):
        world.deployer.inbox.ask(lambda: None).result(5)


# ------------------------------------------------------------------------------------------------------------ the waker


def test_only_the_deployers_own_waits_are_interrupted_and_only_where_they_may_be() -> None:
    waker, other = Waker(), Future[str]()

    def wait_elsewhere() -> None:
        try:
            waker.wait_for(other.cancelled, 0.3)
            other.set_result("waited")
        except BaseException as error:
            other.set_exception(error)

    waker.interrupt()
    assert not waker.wait_for(lambda: False, 0.01)
    with waker.interruptible():
        threading.Thread(target=wait_elsewhere, daemon=True).start()
        with pytest.raises(Interrupted):
            waker.wait_for(lambda: False, 5)
    assert other.result(5) == "waited"
    waker.heed()
    with waker.interruptible():
        assert not waker.wait_for(lambda: False, 0.01)


def test_what_holds_already_is_no_interruption_and_a_stop_goes_before() -> None:
    waker = Waker()
    waker.interrupt()
    with waker.interruptible():
        assert waker.wait_for(lambda: True, 5)
        waker.stop()
        with pytest.raises(Stopping):
            waker.wait_for(lambda: False, 5)


def test_a_stop_in_the_middle_of_what_is_asked_for_is_told() -> None:
    waker = Waker()
    inbox = Inbox(waker)

    def stop() -> None:
        raise Stopping

    future = inbox.ask(stop)
    with pytest.raises(Stopping):
        inbox.serve()
    with pytest.raises(DewyError, match="the next start goes on"):
        future.result(1)
