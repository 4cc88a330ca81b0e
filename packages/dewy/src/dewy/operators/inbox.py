"""What is asked of the deployer by other threads: done in its own thread, between two of its steps."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from dewy.errors import DewyError
from dewy.waker import Waker

__all__ = ["Inbox"]

T = TypeVar("T")


class Inbox:
    """Takes work for the deployer's thread. What can be given up there is given up for it.

    Args:
        waker: The deployer's.
    """

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()

    def ask(self, work: Callable[[], T]) -> Future[T]:
        """Has the deployer do something soon. The future raises what it raises, and DewyError when dewy stops before."""
        future: Future[T] = Future()
        self._work.put((work, future))
        if self._waker.stopped:
            self.refuse()
        self._waker.interrupt()
        return future

    def serve(self) -> bool:
        """Does all that is asked for; whether there was anything. For the deployer."""
        self._waker.heed()
        served = False
        while (asked := self._next()) is not None:
            served = True
            _do(*asked)
        return served

    def refuse(self) -> None:
        """Says no to what is still asked for: dewy stops."""
        while (asked := self._next()) is not None:
            asked[1].set_exception(DewyError("dewy is shutting down: nothing is changed any more"))

    def _next(self) -> tuple[Callable[[], Any], Future[Any]] | None:
        try:
            return self._work.get_nowait()
        except queue.Empty:
            return None


def _do(work: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = work()
    except Exception as error:  # whoever asked is told
        future.set_exception(error)
    except BaseException:  # dewy stops in the middle of it
        future.set_exception(DewyError("dewy is shutting down; the next start goes on with this"))
        raise
    else:
        future.set_result(value)
