"""Servers that refuse, fall silent, drip, break off or talk nonsense: each an error that says what to do."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from dewy.errors import NotifierError
from dewy.notify import Facts, NotifierConsumer
from dewy.testing import Recorder
from dewy.testing.failures import check_sentence
from dewy.types import Event, FieldValue
from dewy.urls import parse_url
from dewy_notifier_mail.account import account_of
from dewy_notifier_mail.faults import Stage, fault_of
from dewy_notifier_mail.notifier import MailNotifier
from dewy_notifier_mail.plugin import NOTIFIER
from dewy_notifier_mail.session import Limits
from dewy_notifier_mail.watch import connect
from mail_server import Behaviour, MailServer
from sample_messages import DONE, FAILED

Opens = Callable[..., MailNotifier]
Serve = Callable[..., MailServer]

CANARY = "canary-secret"
USERS = {"user@example.com": CANARY}
SOON = Limits(connect=9.0, silence=0.8, whole=10.0, farewell=0.3)
STAGES = {
    "connect": "its greeting",
    "EHLO": "EHLO",
    "STARTTLS": "STARTTLS",
    "handshake": "the TLS handshake",
    "AUTH": "the login",
    "MAIL": "the sender",
    "RCPT": "the recipients",
    "DATA": "the mail itself",
    "dot": "the mail itself",
}


def url_of(server: MailServer, options: str) -> str:
    return f"mail://user%40example.com:{CANARY}@{server.address}/ops@example.com?{options}"


def failure(notifier: MailNotifier, within: float = 5.0) -> NotifierError:
    started = time.monotonic()
    with pytest.raises(NotifierError) as caught:
        notifier.send(FAILED)
    took = time.monotonic() - started
    assert took < within, f"it took {took:.1f} s to fail"
    check_sentence(caught.value)
    assert CANARY not in f"{caught.value} {caught.value!r}"
    return caught.value


# --------------------------------------------------------------------------------------------- silence, breaking off


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_falls_silent_is_given_up(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path, stage: str
) -> None:
    server = serve(Behaviour(USERS, stall=stage), starttls=certificate)
    error = failure(opens(url_of(server, f"ca={ca_file}"), limits=SOON))
    assert error.message == f"the mail server {server.address} did not answer in time at {STAGES[stage]}"
    assert error.hint
    assert not error.permanent
    assert server.delivered == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_breaks_off_is_an_error(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path, stage: str
) -> None:
    server = serve(Behaviour(USERS, drop=stage), starttls=certificate)
    error = failure(opens(url_of(server, f"ca={ca_file}"), limits=SOON))
    assert server.address in error.message
    assert STAGES[stage] in error.message
    assert error.hint


@pytest.mark.parametrize("options", ["tls=false", "tls=implicit"])
def test_a_server_that_drips_is_cut_off(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path, options: str
) -> None:
    """No time-out of the socket ever passes: each byte starts it anew."""
    implicit = options == "tls=implicit"
    server = serve(Behaviour(USERS, drip=0.1), implicit=certificate if implicit else None)
    limits = Limits(silence=0.8, whole=1.5)
    error = failure(opens(url_of(server, options + (f"&ca={ca_file}" if implicit else "")), limits=limits))
    assert error.message == f"the mail server {server.address} did not take the mail within 1.5 s; it was at EHLO"


@pytest.mark.parametrize("implicit", [False, True])
def test_a_tls_handshake_that_never_ends_is_cut_off(serve: Serve, opens: Opens, implicit: bool) -> None:
    with silent() as port:
        url = f"mail://127.0.0.1:{port}/ops@example.com?from=a@b.example&tls={'implicit' if implicit else 'true'}"
        notifier = opens(url, limits=Limits(connect=1.0, silence=30.0, whole=0.5))
        error = failure(notifier)
    assert "within 0.5 s" in error.message
    assert ("TLS handshake" in error.message) == implicit


@pytest.mark.parametrize("trouble", [Behaviour(stall="QUIT"), Behaviour(drop="QUIT"), Behaviour(replies={"QUIT": "500 no"})])
def test_a_good_bye_that_fails_is_no_failure(serve: Serve, opens: Opens, trouble: Behaviour) -> None:
    """The server has the mail: an error would send it a second time."""
    server = serve(trouble)
    started = time.monotonic()
    url = f"smtp://{server.address}/ops@example.com?from=a@b.example&tls=false"
    opens(url, limits=Limits(silence=20.0, farewell=0.3)).send(DONE)
    assert time.monotonic() - started < 3
    assert len(server.delivered) == 1


def test_nothing_is_left_behind(serve: Serve, opens: Opens) -> None:
    """A notifier lives as long as dewy: no thread and no connection of a mail may stay."""
    server = serve(Behaviour(drop="DATA"))
    notifier = opens(f"smtp://{server.address}/ops@example.com?from=a@b.example&tls=false")
    before = threading.active_count()
    for _ in range(5):
        failure(notifier)
    server.behaviour.drop = ""
    for _ in range(5):
        notifier.send(DONE)
    assert threading.active_count() <= before


# ---------------------------------------------------------------------------------------------------------- no server


def test_a_port_at_which_nobody_listens_is_named(opens: Opens) -> None:
    error = failure(opens("mail://127.0.0.1:1/ops@example.com?from=a@b.example"))
    assert error.message == "no connection to the mail server 127.0.0.1:1: Connection refused"
    assert "port" in error.hint
    assert not error.permanent


def test_the_next_address_of_a_name_is_tried(serve: Serve, opens: Opens) -> None:
    """localhost is ::1 first on many hosts, where this server does not listen."""
    server = serve()
    opens(f"mail://localhost:{server.port}/ops@example.com?from=a@b.example&tls=false").send(DONE)
    assert len(server.delivered) == 1


def test_connecting_ends_at_the_deadline(serve: Serve) -> None:
    with pytest.raises(TimeoutError):
        connect("127.0.0.1", serve().port, 5.0, time.monotonic() - 1)


def test_a_name_that_is_not_found_is_named() -> None:
    account = account_of(parse_url("mail://smtp.invalid/ops@example.com?from=a@b.example", NOTIFIER.options), {})
    error = fault_of(socket.gaierror(-2, "Name or service not known"), Stage.CONNECTING, account, None)
    assert error.message == "the mail server smtp.invalid:587 is not found: Name or service not known"
    assert "DNS" in error.hint


@contextmanager
def talking(says: Iterator[bytes]) -> Iterator[int]:
    """A port at which somebody says something, whatever is said to him."""

    def talk() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with closing(connection), suppress(OSError):
                for piece in says:
                    connection.sendall(piece)
                connection.recv(1)
                ended.wait(10)

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join(10)


@contextmanager
def silent() -> Iterator[int]:
    """A port at which one is connected, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_server_of_another_protocol_is_told_apart(opens: Opens) -> None:
    with talking(iter([b"HTTP/1.1 400 Bad Request\r\n\r\n"])) as port:
        error = failure(opens(f"mail://127.0.0.1:{port}/ops@example.com?from=a@b.example"))
    assert "does not answer as mail servers do at its greeting" in error.message
    assert "tls=implicit" in error.hint


def test_a_reply_without_end_is_cut_off(opens: Opens) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"220-welcome\r\n" * 1000

    with talking(endless()) as port:
        error = failure(opens(f"mail://127.0.0.1:{port}/ops@example.com?from=a@b.example"))
    assert "talks without end" in error.message


def test_a_line_without_end_is_cut_off(opens: Opens) -> None:
    def endless() -> Iterator[bytes]:
        yield b"220 "
        while True:
            yield b"x" * 10_000

    with talking(endless()) as port:
        error = failure(opens(f"mail://127.0.0.1:{port}/ops@example.com?from=a@b.example"))
    assert "Line too long" in error.message


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("stage", "reply", "said", "hint"),
    [
        ("connect", "554 5.7.1 block list", "refuses the connection: 554 5.7.1 block list, for good", "block"),
        ("connect", "421 too busy", "refuses the connection: 421 too busy, for now", "passes"),
        ("MAIL", "553 5.7.1 not your address", "refuses the sender user@example.com: 553 .*, for good", "MAIL_FROM"),
        ("MAIL", "530 5.7.0 Must issue STARTTLS first", "refuses the sender .*STARTTLS first, for good", "tls=false"),
        ("MAIL", "452 4.3.1 no space", "refuses the sender .*no space, for now", "passes"),
        ("RCPT", "450 4.2.0 greylisted", r"none of its recipients: ops@example.com \(450 .*, for now", "passes"),
        ("RCPT", "550 5.1.1 unknown", r"none of its recipients: ops@example.com \(550 5.1.1 unknown, for good", "addresses"),
        ("RCPT", "421 4.7.0 enough", "refuses the recipients: 421 4.7.0 enough, for now", "passes"),
        ("DATA", "554 5.5.1 no", "refuses the mail itself: 554 5.5.1 no, for good", "own words"),
        ("dot", "554 5.7.1 spam", "refuses the mail itself: 554 5.7.1 spam, for good", "filter"),
        ("dot", "451 4.3.0 queue trouble", "refuses the mail itself: 451 .*, for now", "passes"),
        ("dot", "999 what", "does not answer as mail servers do at the mail itself", "tls=implicit"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_was_refused_and_for_how_long(
    serve: Serve, opens: Opens, stage: str, reply: str, said: str, hint: str
) -> None:
    server = serve(Behaviour(USERS, replies={stage: reply}))
    with pytest.raises(NotifierError, match=f"the mail server {server.address} .*{said}") as caught:
        opens(url_of(server, "tls=false")).send(FAILED)
    check_sentence(caught.value)
    assert hint in caught.value.hint
    assert caught.value.retry_after == (30 if "for now" in said else None)
    assert caught.value.permanent == ("for good" in said), "a server's 5xx stays one; its 4xx passes"


@pytest.mark.parametrize(("second", "permanent"), [("550 5.1.1 unknown", True), ("450 4.2.0 greylisted", False)])
def test_recipients_that_are_all_refused_are_tried_again_if_one_of_them_may_be_taken(
    serve: Serve, opens: Opens, second: str, permanent: bool
) -> None:
    server = serve(Behaviour(replies={"ops@example.com": "550 5.1.1 unknown", "two@example.com": second}))
    url = f"smtp://{server.address}/ops@example.com,two@example.com?from=a@b.example&tls=false"
    error = failure(opens(url))
    assert (error.permanent, error.retry_after) == (permanent, None if permanent else 30)


@pytest.mark.parametrize(
    ("failures", "event", "tries"), [("550 5.1.1 unknown", "notifier.failed", 1), ("450 4.2.0 greylisted", "", 2)]
)
def test_dewy_sends_again_what_was_refused_for_now_and_nothing_else(
    serve: Serve, opens: Opens, failures: str, event: str, tries: int
) -> None:
    server, said = serve(Behaviour(replies={"RCPT": failures})), Recorder()
    notifier = opens(f"smtp://{server.address}/ops@example.com?from=a@b.example&tls=false")

    def wait(_seconds: float) -> None:
        server.behaviour.replies.clear()

    facts = Facts(application="myapp", host="web1", registry="file:///srv/myapp")
    fields: dict[str, FieldValue] = {"application": "myapp", "seconds": 1}
    stopped = Event(name="dewy.stopped", level="info", text="dewy stopped", at=DONE.at, fields=fields)
    NotifierConsumer(notifier, "mail", facts, said, sleep=wait)(stopped)
    assert (said.names, server.connections) == ([event] if event else [], tries)


def test_a_server_that_wants_a_login_says_what_to_set(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path
) -> None:
    server = serve(Behaviour(USERS, login_needed=True), starttls=certificate)
    error = failure(opens(f"mail://{server.address}/ops@example.com?from=a@b.example&ca={ca_file}"))
    assert "530 5.7.0 Authentication required" in error.message
    assert "MAIL_USERNAME" in error.hint


def test_a_server_without_login_is_told_no_password(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path
) -> None:
    server = serve(Behaviour(mechanisms=()), starttls=certificate)
    error = failure(opens(url_of(server, f"ca={ca_file}")))
    assert error.message == f"the mail server {server.address} offers no login"
    assert "leave out user name and password" in error.hint
    assert error.permanent


def test_logins_that_dewy_does_not_know_are_named(opens: Opens) -> None:
    with talking(iter([b"220 hello\r\n", b"250-mail.test\r\n250 AUTH GSSAPI CRAM-MD5\r\n"])) as port:
        error = failure(opens(f"mail://u:{CANARY}@127.0.0.1:{port}/ops@example.com?from=a@b.example&tls=false"))
    assert error.message.endswith("offers no login that dewy knows (only GSSAPI CRAM-MD5)")


def test_a_mail_that_is_too_large_for_the_server_is_called_so(serve: Serve, opens: Opens) -> None:
    server = serve(size=500)
    error = failure(opens(f"smtp://{server.address}/ops@example.com?from=a@b.example&tls=false"))
    assert "552" in error.message
    assert "smaller" in error.hint


def test_a_server_that_knows_only_helo_is_good_enough(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(replies={"EHLO": "502 5.5.1 what"}))
    opens(f"smtp://{server.address}/ops@example.com?from=a@b.example&tls=false").send(DONE)
    assert len(server.delivered) == 1


# --------------------------------------------------------------------------------------------------------------- login


def test_a_wrong_password_is_tried_once_a_minute(serve: Serve, opens: Opens) -> None:
    """dewy tries each message four times: servers lock out who does that with a wrong password."""
    now = 1000.0
    server = serve(Behaviour({"user@example.com": "another"}))
    notifier = opens(url_of(server, "tls=false"), clock=lambda: now)
    first = failure(notifier)
    assert "refuses the login: 535 5.7.8 Authentication credentials invalid, for good" in first.message
    assert "MAIL_PASSWORD" in first.hint
    second = failure(notifier)
    assert str(second) == str(first)
    assert first.permanent
    assert second.permanent
    assert server.connections == 1
    now += 61
    server.behaviour.users = USERS
    notifier.send(DONE)
    assert len(server.delivered) == 1


def test_a_login_that_is_refused_for_now_is_tried_again_at_once(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(USERS, replies={"AUTH": "454 4.7.0 temporary failure"}))
    notifier = opens(url_of(server, "tls=false"))
    assert failure(notifier).retry_after == 30
    server.behaviour.replies.clear()
    notifier.send(DONE)
    assert len(server.delivered) == 1


@pytest.mark.parametrize("stage", ["AUTH", "MAIL", "RCPT", "dot"])
def test_a_server_that_says_the_password_back_does_not_get_it_into_an_error_or_the_log(
    serve: Serve, opens: Opens, stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    forms = (CANARY, b64encode(CANARY.encode()).decode(), b64encode(f"\0user@example.com\0{CANARY}".encode()).decode())
    server = serve(Behaviour(USERS, replies={stage: "554 cannot read " + " ".join(forms) + " " + "\a".join(CANARY)}))
    with caplog.at_level(logging.DEBUG, "dewy_notifier_mail"):
        error = failure(opens(url_of(server, "tls=false")))
    said = str(error) + "".join(record.getMessage() for record in caplog.records if record.name.startswith("dewy"))
    assert not any(form in said for form in forms)
    assert "cannot read *** *** *** ***" in said


def test_the_password_is_in_no_mail_and_in_no_warning(serve: Serve, opens: Opens, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(Behaviour(USERS, replies={"two@example.com": f"550 {CANARY}"}))
    with caplog.at_level(logging.DEBUG, "dewy_notifier_mail"):
        opens(url_of(server, "to=two@example.com&tls=false")).send(FAILED)
    records = [record.getMessage() for record in caplog.records if record.name.startswith("dewy")]
    assert len(records) == 1
    assert CANARY not in records[0]
    assert CANARY.encode() not in server.delivered[0].content
    assert b64encode(CANARY.encode()) not in server.delivered[0].content
