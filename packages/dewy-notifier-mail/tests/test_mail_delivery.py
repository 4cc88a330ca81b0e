"""Mails that arrive, through real servers with and without TLS."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from dewy.errors import NotifierError
from dewy.urls import parse_url
from dewy_notifier_mail.account import account_of
from dewy_notifier_mail.notifier import MailNotifier
from dewy_notifier_mail.plugin import NOTIFIER
from mail_server import Behaviour, MailServer
from sample_messages import DONE, FAILED

Opens = Callable[..., MailNotifier]
Serve = Callable[..., MailServer]

CANARY = "p@ss/w%rd-canary"
USERS = {"user@example.com": CANARY, "žofie": "žluťoučký-canary"}
FROM = "from=Dewy%20<dewy@example.com>"


def login(user: str = "user@example.com") -> str:
    return f"{quote(user, safe='')}:{quote(USERS[user], safe='')}@"


# ----------------------------------------------------------------------------------------------------------------- TLS


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("LOGIN",), ("LOGIN", "PLAIN")])
@pytest.mark.parametrize("user", USERS)
def test_starttls_and_login(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path, user: str, mechanisms: tuple[str, ...]
) -> None:
    server = serve(Behaviour(USERS, login_needed=True, mechanisms=mechanisms), starttls=certificate)
    opens(f"mail://{login(user)}{server.address}/ops@example.com?{FROM}&ca={ca_file}").send(DONE)
    (one,) = server.delivered
    assert one.encrypted
    assert one.user == user
    assert (one.sender, one.recipients) == ("dewy@example.com", ("ops@example.com",))
    assert one.mail["From"] == "Dewy <dewy@example.com>"
    assert server.commands == ["connect", "EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "dot", "QUIT"]


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("LOGIN",)])
def test_implicit_tls_and_login(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path, mechanisms: tuple[str, ...]
) -> None:
    server = serve(Behaviour(USERS, login_needed=True, mechanisms=mechanisms), implicit=certificate)
    opens(f"mail://{login()}{server.address}/ops@example.com?{FROM}&tls=implicit&ca={ca_file}").send(DONE)
    assert server.delivered[0].user == "user@example.com"
    assert "STARTTLS" not in server.commands


def test_the_environment_names_the_authorities(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path
) -> None:
    server = serve(starttls=certificate)
    opens(f"mail://{server.address}/ops@example.com?{FROM}", {"SSL_CERT_FILE": str(ca_file)}).send(DONE)
    assert server.delivered[0].encrypted


def test_the_name_of_the_certificate_is_checked(serve: Serve, opens: Opens, authority: trustme.CA, ca_file: Path) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(other)
    server = serve(Behaviour(USERS), starttls=other)
    notifier = opens(f"mail://{login()}{server.address}/ops@example.com?{FROM}&ca={ca_file}")
    with pytest.raises(
        NotifierError, match=rf"certificate of the mail server {server.address} is not accepted: .*match"
    ) as caught:
        notifier.send(DONE)
    assert "as its certificate does" in caught.value.hint
    assert "AUTH" not in server.commands


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_an_unknown_authority_is_refused_before_anything_is_told(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, kind: str
) -> None:
    server = serve(Behaviour(USERS), **{kind: certificate})
    notifier = opens(f"mail://{login()}{server.address}/ops@example.com?{FROM}&tls={kind}")
    with pytest.raises(NotifierError, match=f"certificate of the mail server {server.address} is not accepted") as caught:
        notifier.send(DONE)
    assert "ca=" in caught.value.hint
    assert caught.value.permanent
    assert not {"AUTH", "MAIL"} & set(server.commands)


def test_a_server_without_starttls_is_told_nothing(serve: Serve, opens: Opens) -> None:
    """Somebody in between may have taken it out of the offer."""
    server = serve(Behaviour(USERS))
    with pytest.raises(NotifierError, match=f"{server.address} does not offer STARTTLS") as caught:
        opens(f"mail://{login()}{server.address}/ops@example.com?{FROM}").send(DONE)
    assert caught.value.permanent
    assert "465" in caught.value.hint
    assert "tls=false" in caught.value.hint
    assert server.commands == ["connect", "EHLO"]


def test_implicit_tls_at_a_port_for_starttls_says_so(
    serve: Serve, opens: Opens, certificate: ssl.SSLContext, ca_file: Path
) -> None:
    server = serve(starttls=certificate)
    with pytest.raises(NotifierError, match=f"{server.address} .* no common TLS") as caught:
        opens(f"mail://{server.address}/ops@example.com?{FROM}&tls=implicit&ca={ca_file}").send(DONE)
    assert "tls=starttls" in caught.value.hint


# ----------------------------------------------------------------------------------------------------------- without TLS


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_local_relay_needs_nothing(serve: Serve, opens: Opens, host: str) -> None:
    try:
        server = serve(Behaviour(mechanisms=()), host=host)
    except (OSError, AssertionError):
        pytest.skip("this host has no IPv6")
    opens(f"smtp://{server.address}/root@localhost?from=dewy@localhost&tls=false").send(DONE)
    (one,) = server.delivered
    assert not one.encrypted
    assert one.recipients == ("root@localhost",)
    name = socket.gethostname()
    literal = f"[IPv6:{host}]" if ":" in host else f"[{host}]"
    assert one.greeted_as == (name if "." in name else literal)


def test_a_local_relay_without_login_takes_mail_though_there_is_a_password(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(mechanisms=()))
    environ = {"MAIL_USERNAME": "user@example.com", "MAIL_PASSWORD": CANARY}
    opens(f"smtp://{server.address}/ops@example.com?tls=false", environ).send(DONE)
    assert "AUTH" not in server.commands
    assert len(server.delivered) == 1


def test_a_local_relay_with_login_is_told_who(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(USERS, login_needed=True))
    opens(f"smtp://{login()}{server.address}/ops@example.com?tls=false").send(DONE)
    assert server.delivered[0].user == "user@example.com"


# -------------------------------------------------------------------------------------------------------- international


def test_international_addresses_go_to_a_server_that_takes_them(serve: Serve, opens: Opens) -> None:
    server = serve()
    opens(f"smtp://{server.address}/jiří@example.com?from=Žofie%20<žofie@example.com>&tls=false").send(FAILED)
    (one,) = server.delivered
    assert one.recipients == ("jiří@example.com",)
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(one.options)
    assert one.content.decode().startswith('From: "Žofie" <žofie@example.com>\r\nTo: jiří@example.com\r\n')


def test_international_addresses_are_a_clear_error_elsewhere(serve: Serve, opens: Opens) -> None:
    server = serve(smtputf8=False)
    with pytest.raises(NotifierError, match="does not offer SMTPUTF8"):
        opens(f"smtp://{server.address}/jiří@example.com?{FROM}&tls=false").send(DONE)
    opens(f"smtp://{server.address}/ops@münchen.example?{FROM}&tls=false").send(DONE)
    assert server.delivered[0].recipients == ("ops@xn--mnchen-3ya.example",)


# ----------------------------------------------------------------------------------------------------------- recipients

THREE = "one@example.com,two@example.com,three@example.com"


def test_one_of_three_that_is_refused_for_good_is_logged_and_the_others_get_it_once(
    serve: Serve, opens: Opens, caplog: pytest.LogCaptureFixture
) -> None:
    """An error would make dewy send it to the others again."""
    server = serve(Behaviour(replies={"two@example.com": "550 5.1.1 no such user"}))
    with caplog.at_level(logging.WARNING, "dewy_notifier_mail"):
        opens(f"smtp://{server.address}/{THREE}?{FROM}&tls=false").send(DONE)
    (one,) = server.delivered
    assert one.recipients == ("one@example.com", "three@example.com")
    (record,) = [record for record in caplog.records if record.name.startswith("dewy_notifier_mail")]
    assert "two@example.com (550 5.1.1 no such user, for good)" in record.getMessage()
    assert server.address in record.getMessage()


def test_one_of_three_that_is_refused_for_now_is_tried_again_alone(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(replies={"two@example.com": "450 4.7.1 greylisted"}))
    notifier = opens(f"smtp://{server.address}/{THREE}?{FROM}&tls=false")
    with pytest.raises(NotifierError, match=r"not yet for two@example.com \(450 4.7.1 greylisted, for now\)") as caught:
        notifier.send(DONE)
    assert caught.value.retry_after == 30
    del server.behaviour.replies["two@example.com"]
    notifier.send(DONE)
    notifier.send(FAILED)
    assert [one.recipients for one in server.delivered] == [
        ("one@example.com", "three@example.com"),
        ("two@example.com",),
        ("one@example.com", "two@example.com", "three@example.com"),
    ]
    first, second = server.delivered[:2]
    assert first.content == second.content, "mail programs must know it for the same mail"


def test_what_was_owed_of_one_message_is_not_what_is_owed_of_the_next(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(replies={"two@example.com": "450 4.7.1 greylisted"}))
    notifier = opens(f"smtp://{server.address}/{THREE}?{FROM}&tls=false")
    for message in (DONE, FAILED, replace(DONE, host="web2")):
        with pytest.raises(NotifierError, match=r"not yet for two@example\.com"):
            notifier.send(message)
    assert [one.recipients for one in server.delivered] == [("one@example.com", "three@example.com")] * 3


def test_all_refused_is_an_error_that_names_them(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(replies={"RCPT": "550 5.7.1 relaying denied"}))
    with pytest.raises(
        NotifierError, match=r"none of its recipients: one@example.com \(550 5.7.1 relaying denied, for good\), two@"
    ):
        opens(f"smtp://{server.address}/{THREE}?{FROM}&tls=false").send(DONE)
    assert "DATA" not in server.commands


def test_an_error_names_five_of_many_refused(serve: Serve, opens: Opens) -> None:
    server = serve(Behaviour(replies={"RCPT": "451 try later"}))
    many = ",".join(f"u{number}@example.com" for number in range(9))
    with pytest.raises(NotifierError, match=r"u4@example.com .* and 4 more") as caught:
        opens(f"smtp://{server.address}/{many}?{FROM}&tls=false").send(DONE)
    assert "u5@" not in str(caught.value)
    assert caught.value.retry_after == 30


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_tls_is_done_though_nobody_says_whom_to_trust(serve: Serve, certificate: ssl.SSLContext, kind: str) -> None:
    """By the system's authorities, to which this server is unknown; never without TLS."""
    server = serve(**{kind: certificate})
    url = f"mail://{server.address}/ops@example.com?{FROM}&tls={kind}"
    notifier = MailNotifier(account_of(parse_url(url, NOTIFIER.options), {}), None)
    with pytest.raises(NotifierError, match=r"certificate .* is not accepted"):
        notifier.send(DONE)
    assert "MAIL" not in server.commands
