"""The pure parts of the supervisor: environment, verdict, back-off, words."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.supervisor import Launch, SupervisorSettings, parse_ports
from dewy.supervisor.exits import describe_exit, explain_exit
from dewy.supervisor.governor import CrashGovernor
from dewy.supervisor.launch import Mark, child_environment
from dewy.supervisor.readiness import Notification, NotReady, Progress, Ready, Wait, judge, parse_notification

SETTINGS = SupervisorSettings()


def environment(environ: dict[str, str], *specs: str) -> dict[str, str]:
    launch = Launch(argv=("app",), directory=Path("/srv/app"), environ=environ, version="v1")
    mark = Mark(Path("/srv/app"), "token")
    return child_environment(launch, addresses=parse_ports(specs), generation=3, notify_socket="@dewy-x", mark=mark)


class TestEnvironment:
    def test_both_conventions_have_one_numbering(self) -> None:
        environ = environment({}, "127.0.0.1:8000", "[::1]:8001", "/run/a.sock")
        assert environ["SERVER_STARTER_PORT"] == "127.0.0.1:8000=3;[::1]:8001=4;/run/a.sock=5"
        assert environ["SERVER_STARTER_GENERATION"] == "3"
        assert environ["LISTEN_FDS"] == "3"
        assert environ["LISTEN_FDNAMES"] == "127.0.0.1-8000:[--1]-8001:/run/a.sock"
        assert environ["NOTIFY_SOCKET"] == "@dewy-x"
        assert environ["DEWY_ROOT"] == "/srv/app"

    def test_a_job_worker_has_an_empty_list_of_ports_and_no_systemd_sockets(self) -> None:
        environ = environment({"LISTEN_FDS": "1", "LISTEN_PID": "1"})
        assert environ["SERVER_STARTER_PORT"] == ""
        assert not {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} & set(environ)

    def test_what_an_outer_manager_set_is_gone_and_the_users_own_stays(self) -> None:
        outer = {
            "SERVER_STARTER_PORT": "1=1", "SERVER_STARTER_GENERATION": "9", "SERVER_STARTER_X": "1", "WATCHDOG_USEC": "1",
            "WATCHDOG_PID": "1", "NOTIFY_SOCKET": "/run/x", "LISTEN_FDS": "4", "LISTEN_PID": "4", "LISTEN_FDNAMES": "a",
            "LISTEN_PIDFDID": "1",
        }  # fmt: skip
        own = {"LISTEN_ADDRESS": "0.0.0.0", "PATH": "/bin", "WATCHDOG": "yes"}
        environ = environment({**outer, **own}, "8000")
        assert own.items() <= environ.items()
        assert not {"SERVER_STARTER_X", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_PIDFDID"} & set(environ)
        assert environ["LISTEN_FDS"] == "1"


class TestNotifications:
    def test_the_lines_that_count_are_read(self) -> None:
        said = parse_notification(b"READY=1\nSTATUS=ready to serve\nEXTEND_TIMEOUT_USEC=2500000\nSTOPPING=1\nMAINPID=4\n")
        assert said == Notification(ready=True, stopping=True, status="ready to serve", extend=2.5)

    @pytest.mark.parametrize("datagram", [b"", b"READY=0", b"READY", b"\xff\xfe", b"EXTEND_TIMEOUT_USEC=-1", b"XREADY=1"])
    def test_anything_else_says_nothing(self, datagram: bytes) -> None:
        assert parse_notification(datagram) == Notification()

    @given(st.binary(max_size=5000))
    def test_garbage_is_passed_over(self, datagram: bytes) -> None:
        said = parse_notification(datagram)
        assert said.status is None or (said.status.isprintable() or not said.status)
        assert said.extend is None or said.extend >= 0

    def test_a_status_cannot_forge_lines_or_grow(self) -> None:
        said = parse_notification(b"STATUS=a\x1b[31mred\r" + 1000 * b"x")
        assert said.status is not None
        assert said.status.startswith("a[31mredx")
        assert len(said.status) == 256


class TestVerdict:
    @pytest.mark.parametrize("ready", ["auto", "notify", "grace"])
    def test_saying_so_is_enough(self, ready: Literal["auto", "notify", "grace"]) -> None:
        settings = replace(SETTINGS, ready=ready)
        assert isinstance(judge(Progress(0, must_say=True, said_ready=True), settings, 0.1), Ready)

    def test_one_that_says_nothing_is_ready_after_the_grace(self) -> None:
        assert judge(Progress(10), SETTINGS, 10.5) == Wait(11)
        assert isinstance(judge(Progress(10), SETTINGS, 11), Ready)

    def test_one_that_is_known_to_say_so_must(self) -> None:
        assert judge(Progress(10, must_say=True), SETTINGS, 39.9) == Wait(40)
        verdict = judge(Progress(10, must_say=True), SETTINGS, 40)
        assert isinstance(verdict, NotReady)
        assert verdict.why == "it did not say READY=1 within 30s, as earlier versions did"
        assert "--ready grace" in verdict.hint

    def test_grace_forgives_one_that_no_longer_does(self) -> None:
        assert isinstance(judge(Progress(10, must_say=True), replace(SETTINGS, ready="grace"), 11), Ready)

    def test_notify_asks_for_it_from_the_first_time_on(self) -> None:
        settings = replace(SETTINGS, ready="notify")
        assert judge(Progress(10), settings, 20) == Wait(40)
        verdict = judge(Progress(10), settings, 40)
        assert isinstance(verdict, NotReady)
        assert verdict.why == "it did not say READY=1 within 30s"

    def test_who_asks_for_more_time_gets_it_and_must_say_so(self) -> None:
        progress = Progress(0)
        progress.hear(Notification(extend=50), 5)
        assert judge(progress, SETTINGS, 54) == Wait(55)
        assert isinstance(judge(progress, SETTINGS, 55), NotReady)

    def test_no_request_for_time_makes_the_time_shorter_or_endless(self) -> None:
        progress = Progress(0, must_say=True)
        progress.hear(Notification(extend=1), 0)
        assert judge(progress, SETTINGS, 29) == Wait(30)
        progress.hear(Notification(extend=1e12), 1)
        assert judge(progress, SETTINGS, 599) == Wait(600)
        assert isinstance(judge(progress, SETTINGS, 600), NotReady)

    @given(
        st.builds(
            Progress, began=st.just(0.0), must_say=st.booleans(), said_ready=st.booleans(), extended=st.floats(0, 1e6)
        ),
        st.sampled_from(["auto", "notify", "grace"]),
        st.floats(0, 1e4),
    )
    def test_a_wait_always_ends(self, progress: Progress, ready: Literal["auto", "notify", "grace"], now: float) -> None:
        settings = replace(SETTINGS, ready=ready)
        verdict = judge(progress, settings, now)
        if isinstance(verdict, Wait):
            assert now < verdict.until <= settings.start_bound
            assert not isinstance(judge(progress, settings, verdict.until), Wait)


class TestGovernor:
    def test_waits_grow_from_one_second_to_a_minute(self) -> None:
        governor = CrashGovernor(SETTINGS, lambda _low, high: high)
        assert [governor.crashed(0) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
        governor = CrashGovernor(SETTINGS, lambda low, _high: low)
        assert [governor.crashed(0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]

    def test_a_stable_time_and_another_version_begin_anew(self) -> None:
        governor = CrashGovernor(SETTINGS, lambda low, _high: low)
        for _ in range(5):
            governor.crashed(0)
        governor.replaced()
        assert governor.crashed(0) == 1
        assert governor.forget() == 6
        assert (governor.crashes, governor.crashed(0)) == (0, 1)

    @given(st.lists(st.floats(0, 120), min_size=1, max_size=60))
    def test_there_are_never_more_than_ten_starts_a_minute(self, uptimes: list[float]) -> None:
        governor, now = CrashGovernor(SETTINGS), 0.0
        starts: list[float] = []
        for uptime in uptimes:
            delay = governor.crashed(now)
            assert 1 <= delay <= 60
            now += delay
            governor.started(now)
            starts.append(now)
            if uptime >= 60:
                governor.forget()
            now += uptime
        for position in range(10, len(starts)):
            assert starts[position] - starts[position - 10] >= 60 - 1e-9


class TestWords:
    def test_exits_are_said_in_words(self) -> None:
        assert describe_exit(0) == "exit status 0"
        assert describe_exit(3) == "exit status 3"
        assert describe_exit(-signal.SIGSEGV) == "killed by SIGSEGV"
        assert describe_exit(-63) == "killed by signal 63"
        assert describe_exit(None) == "exit status unknown"

    def test_what_the_shell_says_in_numbers_is_explained(self) -> None:
        assert "another platform" in explain_exit(126)
        assert "not found" in explain_exit(127)
        assert "memory" in explain_exit(-signal.SIGKILL)
        assert "foreground" in explain_exit(0)
        assert explain_exit(1) == ""
