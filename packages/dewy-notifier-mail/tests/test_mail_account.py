"""What URLs and the environment say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_notifier_mail.account import Account, Tls, account_of
from dewy_notifier_mail.plugin import NOTIFIER
from dewy_notifier_mail.trust import trust_of

CANARY = "canary-secret"
TO = "ops@example.com?from=dewy@example.com"


def account(url: str, environ: Mapping[str, str] | None = None) -> Account:
    return account_of(parse_url(url, NOTIFIER.options, kind="notifier"), environ or {})


def credentials(of: Account) -> tuple[str, str] | None:
    return (of.login.username, of.login.password) if of.login else None


# ------------------------------------------------------------------------------------------------------------- servers


@pytest.mark.parametrize(
    ("url", "server", "tls"),
    [
        (f"mail://smtp.example.com/{TO}", "smtp.example.com:587", Tls.STARTTLS),
        (f"smtp://SMTP.example.com:2525/{TO}", "smtp.example.com:2525", Tls.STARTTLS),
        (f"mail://smtp.example.com:465/{TO}", "smtp.example.com:465", Tls.IMPLICIT),
        (f"mail://smtp.example.com:465/{TO}&tls=starttls", "smtp.example.com:465", Tls.STARTTLS),
        (f"mail://smtp.example.com:8465/{TO}&tls=implicit", "smtp.example.com:8465", Tls.IMPLICIT),
        (f"mail://smtp.example.com/{TO}&tls=YES", "smtp.example.com:587", Tls.STARTTLS),
        (f"mail://relay.example.com:25/{TO}&tls=false", "relay.example.com:25", Tls.NONE),
        (f"mail://[::1]:2525/{TO}&tls=off", "[::1]:2525", Tls.NONE),
        (f"mail://[2001:db8::1]/{TO}", "[2001:db8::1]:587", Tls.STARTTLS),
        (f"mail://pošta.example/{TO}", "xn--pota-h6a.example:587", Tls.STARTTLS),
    ],
)
def test_the_server_is_read(url: str, server: str, tls: Tls) -> None:
    read = account(url).server
    assert (str(read), read.tls) == (server, tls)


# ---------------------------------------------------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    "url",
    [
        "mail://user%40example.com:p%40ss%2Fw%25rd@smtp.example.com/ops@example.com",
        "mail://smtp.example.com/ops@example.com?username=user@example.com&password=p@ss/w%25rd",
        "mail://smtp.example.com/ops@example.com?username=user%40example.com&password=p%40ss%2Fw%25rd",
        "mail://user@example.com:p%40ss%2Fw%25rd@smtp.example.com/ops@example.com",
    ],
)
def test_a_user_name_that_is_an_address_and_a_password_with_anything_in_it(url: str) -> None:
    read = account(url)
    assert credentials(read) == ("user@example.com", "p@ss/w%rd")
    assert read.sender.addr_spec == "user@example.com"
    assert read.server.host == "smtp.example.com"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=40))
def test_any_password_can_be_written(password: str) -> None:
    from urllib.parse import quote

    encoded = quote(password, safe="")
    assert credentials(account(f"mail://user:{encoded}@h/{TO}")) == ("user", password)
    assert credentials(account(f"mail://h/{TO}&username=user&password={encoded}")) == ("user", password)


def test_credentials_come_from_the_environment_where_the_url_has_none() -> None:
    environ = {"MAIL_USERNAME": "env@example.com", "MAIL_PASSWORD": CANARY}
    read = account("mail://h/ops@example.com", environ)
    assert credentials(read) == ("env@example.com", CANARY)
    assert read.sender.addr_spec == "env@example.com"
    assert credentials(account("mail://me:mine@h/ops@example.com?from=a@b.example", environ)) == ("me", "mine")
    assert credentials(account("mail://h/ops@example.com?username=me@b.example", environ)) == ("me@b.example", CANARY)


def test_a_user_name_alone_is_the_sender_and_no_login() -> None:
    read = account("mail://h/ops@example.com?username=me@b.example")
    assert read.login is None
    assert read.sender.addr_spec == "me@b.example"


def test_the_sender_is_the_option_else_the_variable_else_the_user_name() -> None:
    environ = {"MAIL_FROM": "Env <env@example.com>", "MAIL_USERNAME": "user@example.com", "MAIL_PASSWORD": CANARY}
    assert (
        str(account("mail://h/ops@example.com?from=Dewy%20<dewy@example.com>", environ).sender) == "Dewy <dewy@example.com>"
    )
    assert str(account("mail://h/ops@example.com", environ).sender) == "Env <env@example.com>"
    assert str(account("mail://h/ops@example.com", {**environ, "MAIL_FROM": ""}).sender) == "user@example.com"


def test_a_password_from_the_environment_is_replaced_in_every_text_that_leaves_dewy(tmp_path: Path) -> None:
    context = TestContext(tmp_path, {"MAIL_USERNAME": "user", "MAIL_PASSWORD": CANARY})
    notifier = NOTIFIER.open(parse_url(f"mail://h/{TO}", NOTIFIER.options), context)
    assert CANARY in context.secrets
    assert CANARY not in repr(vars(notifier))


def test_the_password_is_never_shown() -> None:
    read = account(f"mail://user:{CANARY}@h/{TO}")
    assert CANARY not in f"{read!r} {read} {read.login!r}"


# ----------------------------------------------------------------------------------------------------------- recipients


def test_recipients_of_path_and_option_are_each_told_once() -> None:
    read = account(
        "mail://h/ops@example.com,dev@example.com?to=Boss%20<boss@example.com>,Ops%20<ops@example.com>&from=a@b.example"
    )
    assert [each.addr_spec for each in read.recipients] == ["ops@example.com", "dev@example.com", "boss@example.com"]


def test_recipients_may_stand_in_the_option_alone() -> None:
    assert account("mail://h?to=ops@example.com&from=a@b.example").recipients[0].addr_spec == "ops@example.com"


# ---------------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("url", "environ", "said"),
    [
        ("mail://h?from=a@b.example", {}, "no recipient"),
        ("mail://h/?from=a@b.example", {}, "no recipient"),
        ("mail://h/ops?from=a@b.example", {}, "path .*'ops' has no @"),
        ("mail://h/ops@example.com?to=dev&from=a@b.example", {}, "option 'to' .*'dev' has no @"),
        ("mail://h/ops@example.com?from=dewy", {}, "option 'from' .*'dewy' has no @"),
        ("mail://h/ops@example.com?from=a@b.example,c@d.example", {}, "option 'from' .*one mail address"),
        ("mail://h/ops@example.com", {"MAIL_FROM": "dewy"}, "MAIL_FROM .*'dewy' has no @"),
        ("mail://h/ops@example.com", {}, "from whom.*MAIL_FROM"),
        (f"mail://apikey:{CANARY}@h/ops@example.com", {}, "from whom.*from="),
        (f"mail://a@b@c:{CANARY}@h/ops@example.com", {}, "user name .*@"),
        (f"mail:///{TO}", {}, "names no server"),
        (f"mail://h:0/{TO}", {}, "port 0"),
        (f"mail://a:1,b:2/{TO}", {}, "several servers"),
        (f"mail://a%0d%0ab/{TO}", {}, "not a host"),
        (f"mail://h/{TO}&tls=maybe", {}, "option 'tls' .*starttls, implicit"),
        (f"mail://h/{TO}&password={CANARY}", {}, "no user name"),
        (f"mail://h/{TO}", {"MAIL_PASSWORD": CANARY}, "no user name.*MAIL_USERNAME"),
        (f"mail://u:{CANARY}@h/{TO}&password={CANARY}", {}, "two of 'password'"),
        (f"mail://u:{CANARY}@h/{TO}&username=u", {}, "two of 'username'"),
        (f"mail://u:{CANARY}%0d%0a@h/{TO}", {}, "password .*control character"),
        (f"mail://h/{TO}", {"MAIL_USERNAME": "u", "MAIL_PASSWORD": f"{CANARY}\n"}, "MAIL_PASSWORD has a line end"),
        (f"mail://h/{TO}", {"MAIL_USERNAME": "u\r", "MAIL_PASSWORD": CANARY}, "MAIL_USERNAME has a line end"),
        ("mail://h/ops@example.com%0d%0aBcc:x@y.example?from=a@b.example", {}, "path .*line end"),
        (f"mail://h/{TO}&to=x@y.example%0a", {}, "option 'to' .*line end"),
        ("mail://h/ops@example.com?from=a@b.example%0aBcc:%20x", {}, "option 'from' .*line end"),
        (f"mail://h/{TO}&subject=a%0aBcc:%20x", {}, "option 'subject' .*line end"),
        ("mail://h/ops@example.com?from=%22Dewy%20<a@b.example>", {}, "option 'from' .*quotation mark"),
        (f"mail://h/{TO}&ca=x%00", {}, "option 'ca' .*control character"),
        (f"mail://h/{TO}&ca=x&tls=false", {}, "certificate .*tls=false"),
        (f"mail://u:{CANARY}@relay.example.com:25/{TO}&tls=false", {}, "in the clear.*tls=false"),
        (f"mail://10.0.0.1:25/{TO}&tls=false", {"MAIL_USERNAME": "u", "MAIL_PASSWORD": CANARY}, "in the clear.*MAIL_PASS"),
        ("mail://h/" + ",".join(f"u{n}@example.com" for n in range(101)) + "?from=a@b.example", {}, "101 recipients"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_when_it_is_opened(url: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        account(url, environ)
    assert CANARY not in f"{caught.value} {caught.value!r}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "mail.localhost"])
def test_a_relay_on_this_host_may_be_told_a_password_in_the_clear(host: str) -> None:
    assert credentials(account(f"mail://u:p@{host}:25/{TO}&tls=false")) == ("u", "p")


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for name, said in ((tmp_path / "none.pem", "No such file"), (empty, "no certificate")):
        with pytest.raises(UsageError, match=f"ca={name}.*{said}"):
            trust_of(account(f"mail://h/{TO}&ca={name}"), {})
        with pytest.raises(UsageError, match=f"SSL_CERT_FILE={name}.*{said}"):
            trust_of(account(f"mail://h/{TO}"), {"SSL_CERT_FILE": str(name)})
