"""The demo's users: connections that stay open, connections that are new each time, and every answer counted."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter

__all__ = ["Load"]

_KEPT, _NEW, _SLOW = 4, 2, 2
"""Threads with a kept connection, with a new one for each request, and with a kept one for slow requests."""
_PAUSE = 0.01
_TIMEOUT = 10.0


class Load:
    """Requests until told to stop.

    Attributes:
        answers: How many answers each version gave.
        failures: What went wrong, one text a request.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._last, self._gap = 0.0, 0.0
        plan = [("/", True)] * _KEPT + [("/", False)] * _NEW + [("/slow", True)] * _SLOW
        self._threads = [threading.Thread(target=self._client, args=job, daemon=True) for job in plan]

    def start(self) -> None:
        """Sends the users in."""
        self._last = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Lets them finish what they have asked for."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_TIMEOUT)

    @property
    def requests(self) -> int:
        """All requests so far, failed ones included."""
        return sum(self.answers.values()) + len(self.failures)

    @property
    def longest_gap(self) -> float:
        """The longest time without an answer, in seconds."""
        return self._gap

    def _client(self, path: str, keep: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.wait(_PAUSE):
            connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
            try:
                last = self._ask(connection, path, keep)
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failures.append(f"{type(error).__name__}: {error}")
                last = True
            if last:
                connection.close()
                connection = None

    def _ask(self, connection: http.client.HTTPConnection, path: str, keep: bool) -> bool:
        """One request; whether the connection is to be closed after it."""
        connection.request("GET", path, headers={} if keep else {"Connection": "close"})
        response = connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise http.client.HTTPException(f"status {response.status}")
        now = time.monotonic()
        with self._lock:
            self.answers[body.split()[0]] += 1
            if not self._stop.is_set():  # when some have left, the others' answers are further apart
                self._gap = max(self._gap, now - self._last)
            self._last = now
        return response.getheader("Connection", "").lower() == "close"
