"""Waiting, and calling plugins that may never come back."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from dewy.errors import PluginError, RegistryError
from dewy.guard import CallTimedOut, Guard
from dewy.waker import Stopping, Waker


def later(seconds: float, call: object) -> threading.Timer:
    timer = threading.Timer(seconds, call)  # type: ignore[arg-type]
    timer.start()
    return timer


def test_a_sleep_ends_when_woken_and_a_wake_up_is_not_lost() -> None:
    waker = Waker()
    began = time.monotonic()
    later(0.05, waker.wake)
    waker.sleep(30)
    waker.wake()
    waker.sleep(30)
    assert time.monotonic() - began < 5


def test_a_stop_ends_every_wait() -> None:
    waker = Waker()
    later(0.05, waker.stop)
    with pytest.raises(Stopping):
        waker.sleep(30)
    with pytest.raises(Stopping):
        waker.sleep(30)


def test_a_call_returns_what_the_plugin_returns() -> None:
    assert Guard(Waker()).call("plug", "adding", lambda: 1 + 1, limit=5) == 2


def test_dewys_own_errors_pass_and_others_are_named() -> None:
    guard = Guard(Waker())

    def dewys() -> None:
        raise RegistryError("no such bucket")

    def others() -> None:
        raise KeyError("x")

    with pytest.raises(RegistryError, match=r"^no such bucket$"):
        guard.call("plug", "listing", dewys, limit=5)
    with pytest.raises(PluginError, match=r"plug failed while listing: KeyError: 'x'\. This is a fault of the plugin"):
        guard.call("plug", "listing", others, limit=5)


def test_a_plugin_that_exits_does_not_take_dewy_along() -> None:
    with pytest.raises(PluginError, match="SystemExit"):
        Guard(Waker()).call("plug", "listing", lambda: sys.exit(3), limit=5)


def test_a_hanging_call_is_given_up_and_few_of_them_are_left_behind() -> None:
    guard, release = Guard(Waker()), threading.Event()
    for _ in range(4):
        with pytest.raises(CallTimedOut, match=r"plug did not come back within 0\.05s from listing"):
            guard.call("plug", "listing", release.wait, limit=0.05)
    with pytest.raises(CallTimedOut, match="4 earlier calls still hang"):
        guard.call("plug", "listing", release.wait, limit=0.05)
    assert guard.call("other", "listing", lambda: 1, limit=5) == 1
    release.set()


def test_a_slow_call_with_signs_of_life_is_not_given_up() -> None:
    signs = [time.monotonic()]

    def slow() -> str:
        for _ in range(6):
            time.sleep(0.05)
            signs[0] = time.monotonic()
        return "done"

    assert Guard(Waker()).call("plug", "downloading", slow, limit=0.2, alive=lambda: signs[0]) == "done"


def test_a_stop_does_not_wait_for_a_hanging_call() -> None:
    waker, release = Waker(), threading.Event()
    later(0.05, waker.stop)
    began = time.monotonic()
    with pytest.raises(Stopping):
        Guard(waker).call("plug", "listing", release.wait, limit=30)
    assert time.monotonic() - began < 5
    release.set()
