"""Whatever hangs: an application that crashes is started again within its back-off, and dewy stops when it is asked to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleet import Upstream, opened_upstream
from notifying import SilentServer
from publishing import Archive
from running import Running, eventually, free_port, running

NAME = "myapp_linux_amd64.tar.gz"
BACK_OFF = 2.0
"""Seconds until an application that has crashed once is started again, at most."""
STOP = 6.0
"""``--stop-timeout``, seconds."""
MARGIN = 1.5
"""Seconds that a busy machine may add."""


class Scene:
    """A dewy that is about to meet something that hangs."""

    def __init__(self, root: Path, upstream: Upstream, archive: Archive, silent: SilentServer) -> None:
        self.root, self.upstream, self.archive, self.silent = root, upstream, archive, silent

    def publish(self, version: str) -> None:
        self.upstream.server.publish(version, {NAME: self.archive(version)})

    def hang(self, role: str) -> None:
        self.upstream.hang(role)
        self.publish("v1.1.0")
        eventually(lambda: self.upstream.hanging, what="a request that hangs")

    def trap(self) -> None:
        (self.root / "trap").touch()
        self.publish("v1.1.0")
        eventually((self.root / "trapped").exists, what="a command that hangs")

    def keep_quiet(self) -> None:
        eventually(lambda: self.silent.holds, what="a message that nobody takes")


TRAP = "test ! -e trap || { touch trapped; sleep 600; }"
HANGING: dict[str, tuple[list[str], Callable[[Scene], None]]] = {
    "registry": ([], lambda scene: scene.hang("api")),
    "download": ([], lambda scene: scene.hang("storage")),
    "hook": (["--before-deploy-hook", TRAP], Scene.trap),
    "health": (["--health-command", TRAP, "--health-timeout", "60s"], Scene.trap),
    "notifier": (["--notifier", "mail://127.0.0.1:PORT/ops@example.com?from=dewy@example.com&tls=false"], Scene.keep_quiet),
}
"""What hangs, for as long as the test lasts: how dewy is told of it, and how it comes to that."""


@pytest.mark.parametrize("what", HANGING)
def test_a_crashed_application_comes_back_and_dewy_stops_in_time_while_something_hangs(
    root: Path, go_archive: Archive, what: str
) -> None:
    more, begin = HANGING[what]
    with ExitStack() as stack:
        upstream, silent = stack.enter_context(opened_upstream()), stack.enter_context(SilentServer())
        scene = Scene(root, upstream, go_archive, silent)
        scene.publish("v1.0.0")
        arguments = ["--registry", upstream.server.url, "-p", f"127.0.0.1:{free_port()}", "-i", "0.2s", "-C", str(root)]
        arguments += [
            "--start-grace",
            "0.1s",
            "--stop-timeout",
            f"{STOP}s",
            *(word.replace("PORT", str(silent.port)) for word in more),
        ]
        process = stack.enter_context(running("server", *arguments, "--", "./current/myapp", **upstream.server.environ))
        process.wait_for("deployment.done")
        begin(scene)
        assert seconds_until_it_is_back(process) < BACK_OFF + MARGIN
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < STOP + MARGIN
    assert [event["version"] for event in process.of("deployment.done")] == ["v1.0.0"]


def seconds_until_it_is_back(process: Running) -> float:
    """Kills what serves."""
    began = time.monotonic()
    serving = [event for event in process.of("generation.ready") if event["version"] == "v1.0.0"][-1]
    os.kill(int(serving["pid"]), signal.SIGKILL)
    process.wait_for("generation.started", version="v1.0.0", reason="crash")
    return time.monotonic() - began
