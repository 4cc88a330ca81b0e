"""Telling systemd how dewy is: sd_notify(3), the datagram protocol of ``Type=notify`` services."""

from __future__ import annotations

import socket
from collections.abc import Mapping

__all__ = ["SystemdNotifier"]


class SystemdNotifier:
    """Sends lines to the service manager that started dewy; does nothing when there is none. Never blocks or raises."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if path else None
        if self._socket:
            self._socket.setblocking(False)

    @property
    def listens(self) -> bool:
        """Whether there is a service manager that listens."""
        return self._socket is not None

    def __call__(self, *lines: str) -> None:
        """Sends lines such as ``READY=1`` and ``STATUS=…`` in one message."""
        if self._socket:
            try:
                self._socket.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                # the service manager restarts or its queue is full: what it is told is a courtesy
                return
