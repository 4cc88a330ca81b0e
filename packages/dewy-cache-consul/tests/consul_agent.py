"""A real Consul agent for tests, one process in a temporary directory. Any test of the tree can use it::

    with start_agent(tmp_path) as agent:
        … agent.address, agent.url …

It listens on free ports of 127.0.0.1 only, keeps nothing on disk, and is a cluster of one. The program is the one that
``DEWY_TEST_CONSUL`` names, or ``consul`` on PATH, or the one in the cache directory of dewy's tests.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import server_processes
from server_processes import free_port

__all__ = ["Agent", "binary_or_skip", "start_agent"]

_STARTS_WITHIN = 30.0
_POLL = 0.02


def binary_or_skip() -> str:
    """The program; without one the test is skipped."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for name in (os.environ.get("DEWY_TEST_CONSUL"), shutil.which("consul"), str(cache / "dewy-test" / "consul")):
        if name and os.access(name, os.X_OK):
            return name
    pytest.skip("no Consul here: install it so that consul is on PATH, or set DEWY_TEST_CONSUL to the program's path")


class Agent:
    """One agent; ``stop`` and ``start`` are for tests of an outage: the address stays, the data does not.

    Args:
        binary: The program.
        directory: Where its log and its configuration are.
        configuration: More of its configuration, as Consul's JSON has it.
    """

    def __init__(self, binary: str, directory: Path, configuration: Mapping[str, Any] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._binary, self._log = binary, directory / "agent.log"
        self.port = free_port()
        self._file = directory / "agent.json"
        self._more = dict(configuration or {})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Its address as a cache URL, without a path."""
        return f"consul://{self.address}"

    def start(self) -> None:
        """Starts it and waits until it leads its cluster of one."""
        deadline = time.monotonic() + _STARTS_WITHIN
        self.process = self._spawn()
        while not self._leads():
            assert time.monotonic() < deadline, f"the agent does not start:\n{self._last_words()}"
            if self.process.poll() is not None:  # somebody may have been quicker to take one of its ports
                self.process = self._spawn()
            time.sleep(_POLL)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # The other ports are its own and nobody's address, so they are new each time: an old one may linger.
        ports = {"http": self.port, "dns": -1, "grpc": -1, "serf_wan": -1, "serf_lan": free_port(), "server": free_port()}
        ports |= self._more.get("ports", {})
        self._file.write_text(json.dumps(self._more | {"ports": ports, "disable_update_check": True}))
        command = [self._binary, "agent", "-dev", "-bind", "127.0.0.1", "-client", "127.0.0.1"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, "-config-file", str(self._file)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Ends it at once, as a power cut would."""
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """It takes connections, as the kernel does for it, and never answers."""
        assert self.process
        server_processes.freeze(self.process)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process
        server_processes.thaw(self.process)

    def ask(self, method: str, path: str, body: bytes | None = None, token: str = "") -> tuple[int, bytes]:
        """Sends it a request, by a client of its own: status and body."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, body, {"X-Consul-Token": token} if token else {})
            response = connection.getresponse()
            return response.status, response.read()

    def _leads(self) -> bool:
        try:
            status, body = self.ask("GET", "/v1/status/leader")
            # a leader that has just been chosen may not be ready to read consistently
            return status == 200 and b":" in body and self.ask("GET", "/v1/kv/?keys&consistent")[0] in (200, 403, 404)
        except (OSError, http.client.HTTPException):
            return False


@contextmanager
def start_agent(directory: Path, configuration: Mapping[str, Any] | None = None) -> Iterator[Agent]:
    """An agent that answers, while the block runs. Skips the test where there is no Consul."""
    agent = Agent(binary_or_skip(), directory, configuration)
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()
