"""What a process is given: descriptors, environment, signals, directory, and nothing more."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from supervision import Supervised, run, supervised, until

from dewy.errors import StartError

REPORT = """
import json, os, signal, sys
def lead(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return None
found = {int(name): lead(name) for name in os.listdir("/proc/self/fd")}
status = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith("Sig"))
report = {
    "fds": {str(fd): to for fd, to in found.items() if to}, "environ": dict(os.environ), "pid": os.getpid(),
    "group": os.getpgrp(), "cwd": os.getcwd(), "ignored": int(status["SigIgn"], 16), "blocked": int(status["SigBlk"], 16),
    "argv": open("/proc/self/cmdline").read().split("\\0")[:-1],
}
with open("report.tmp", "w") as file:
    json.dump(report, file)
os.rename("report.tmp", "report.json")
signal.pause()
"""


async def report_of(it: Supervised, **environ: str) -> dict[str, Any]:
    launch = it.python(REPORT)
    await it.supervisor.start(replace(launch, environ={**launch.environ, **environ}))
    path = it.root / "report.json"
    await until(path.exists)
    report: dict[str, Any] = json.loads(path.read_text())
    assert report["pid"] == it.pid
    return report


def test_it_has_its_sockets_its_pipes_and_no_other_descriptor(tmp_path: Path) -> None:
    stray, _ = pipe = os.pipe()
    os.set_inheritable(stray, True)

    async def scenario() -> None:
        async with supervised(tmp_path, ports=3) as it:
            report = await report_of(it)
            assert set(report["fds"]) == {"0", "1", "2", "3", "4", "5"}
            assert report["fds"]["0"] == os.devnull
            assert report["fds"]["1"].startswith("pipe:")
            assert all(report["fds"][str(fd)].startswith("socket:") for fd in (3, 4, 5))
            environ = report["environ"]
            assert [pair.rpartition("=")[2] for pair in environ["SERVER_STARTER_PORT"].split(";")] == ["3", "4", "5"]
            assert environ["LISTEN_PID"] == str(report["pid"])
            assert (environ["LISTEN_FDS"], environ["SERVER_STARTER_GENERATION"]) == ("3", "1")

    try:
        run(scenario())
    finally:
        for descriptor in pipe:
            os.close(descriptor)


def test_it_leads_a_group_in_its_directory_with_all_signals_as_the_system_has_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        try:
            async with supervised(tmp_path, ports=0) as it:
                report = await report_of(it)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
            signal.signal(signal.SIGHUP, before)
        assert report["group"] == report["pid"]
        assert report["cwd"] == str(tmp_path)
        assert report["argv"][:3] == [sys.executable, "-I", "-S"]
        assert report["blocked"] == 0
        python_ignores = {signal.SIGPIPE, signal.SIGXFSZ}
        ignored = {number for number in signal.valid_signals() if report["ignored"] >> (number - 1) & 1}
        assert ignored <= python_ignores, "the test program is Python, which ignores these by itself"
        assert set(report["fds"]) == {"0", "1", "2"}
        assert report["environ"]["SERVER_STARTER_PORT"] == ""
        assert "LISTEN_PID" not in report["environ"]

    run(scenario())


def test_it_is_not_deaf_to_a_closed_pipe(tmp_path: Path) -> None:
    """Python ignores SIGPIPE, and what is ignored stays so across exec: `yes | head` would never end."""

    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            await it.supervisor.start(it.shell("yes | head -n 1; touch ended; exec sleep 60"))
            await until((tmp_path / "ended").exists)

    run(scenario())


@pytest.mark.parametrize("ports", [0, 1])
def test_variables_that_no_shell_can_hold_arrive_all_the_same(tmp_path: Path, ports: int) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ports=ports) as it:
            report = await report_of(it, **{"spring.datasource.url": "jdbc:x", "a-b": "c\nd", "PLAIN": "e"})
            environ = report["environ"]
            assert (environ["spring.datasource.url"], environ["a-b"], environ["PLAIN"]) == ("jdbc:x", "c\nd", "e")
            assert environ.get("LISTEN_PID") == (str(report["pid"]) if ports else None)
            assert set(report["fds"]) == {str(fd) for fd in range(3 + ports)}
            assert report["cwd"] == str(tmp_path)

    run(scenario())


def test_the_program_is_found_beside_the_directory_or_in_path(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "app with space"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\necho "$0" "$@" > ran\nexec sleep 60\n')
    script.chmod(0o755)

    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            await it.supervisor.start(it.program("./bin/app with space", "$HOME", "it's"))
            assert (tmp_path / "ran").read_text() == "./bin/app with space $HOME it's\n"
            launch = it.program("app with space")
            await it.supervisor.swap(replace(launch, environ={**os.environ, "PATH": f"bin:{os.environ['PATH']}"}))

    run(scenario())


def _script(path: Path, text: str, mode: int = 0o755) -> None:
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("./none", "does not exist"),
        ("none-such-program", "no such program in PATH"),
        ("app", "Write ./app for the one in"),
        ("./directory", "is a directory"),
        ("./plain", "is not executable"),
        ("./badbang", "its interpreter cannot be run: /no/such/interpreter does not exist"),
        ("./crlf", "CR LF"),
        ("./app/inside", "Not a directory"),
        ("", "empty"),
    ],
)
def test_what_cannot_be_run_is_named_and_costs_a_generation(tmp_path: Path, argv: str, says: str) -> None:
    (tmp_path / "directory").mkdir()
    _script(tmp_path / "app", "#!/bin/sh\n")
    _script(tmp_path / "plain", "#!/bin/sh\n", 0o644)
    _script(tmp_path / "badbang", "#!/no/such/interpreter\n")
    _script(tmp_path / "crlf", "#!/bin/sh\r\nexit 0\r\n")

    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            with pytest.raises(StartError) as caught:
                await it.supervisor.swap(it.program(argv))
            assert says in str(caught.value)
            await it.supervisor.swap(it.shell("exec sleep 60"))
            current = it.supervisor.status.current
            assert current
            assert current.number == 2

    run(scenario())


def test_a_working_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            with pytest.raises(StartError, match=r"the working directory .* is not there"):
                await it.supervisor.swap(replace(it.shell("exit 0"), directory=tmp_path / "gone"))

    run(scenario())


def test_a_program_of_another_platform_is_explained(tmp_path: Path) -> None:
    _script(tmp_path / "foreign", "")
    (tmp_path / "foreign").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xff\x00" + bytes(44))

    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            with pytest.raises(StartError, match=r"exit status 126.*another platform"):
                await it.supervisor.swap(it.program("./foreign"))

    run(scenario())


def test_a_command_line_that_is_too_long_is_the_versions_fault(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervised(tmp_path, ports=0) as it:
            with pytest.raises(StartError, match="too long"):
                await it.supervisor.swap(it.program("/bin/true", *(["x" * 100_000] * 40)))

    run(scenario())
