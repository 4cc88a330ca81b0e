"""Addresses as users write them."""

from __future__ import annotations

from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses
from smtplib import quoteaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy_notifier_mail.addresses import addresses_of, ascii_domain, host_of
from dewy_notifier_mail.mail import MAIL_POLICY


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("ops@example.com", "", "ops@example.com"),
        ("<ops@example.com>", "", "ops@example.com"),
        ("Dewy <dewy@example.com>", "Dewy", "dewy@example.com"),
        ('"Doe, Jane" <jane@example.com>', "Doe, Jane", "jane@example.com"),
        ("Žofie <zofie@example.com>", "Žofie", "zofie@example.com"),
        ("root@localhost", "", "root@localhost"),
        ("ops+dewy@example.com", "", "ops+dewy@example.com"),
        ("ops@[192.0.2.1]", "", "ops@[192.0.2.1]"),
        ("ops@[IPv6:2001:db8::1]", "", "ops@[IPv6:2001:db8::1]"),
        ("ops@münchen.example", "", "ops@xn--mnchen-3ya.example"),
        ("ops@MÜNCHEN.example", "", "ops@xn--mnchen-3ya.example"),
        ("jiří@example.com", "", "jiří@example.com"),
    ],
)
def test_an_address_is_read(text: str, name: str, address: str) -> None:
    (read,) = addresses_of(text)
    assert (read.display_name, read.addr_spec) == (name, address)


def test_several_are_separated_by_commas_outside_of_quotes() -> None:
    read = addresses_of('a@example.com, "Doe, Jane" <b@example.com>,,c@example.com,')
    assert [each.addr_spec for each in read] == ["a@example.com", "b@example.com", "c@example.com"]


@pytest.mark.parametrize(
    "text",
    [
        "ops", "@example.com", "ops@", "ops@@example.com", "o ps@example.com", ".ops@example.com", "ops.@example.com",
        "a..b@example.com", "ops@exa mple.com", "ops@-example.com", "ops@example..com", "ops@[300.1.1.1]", "ops@[nonsense]",
        "<ops@example.com", "ops@example.com>", "Ops <ops@example.com> more", "a<b>c@example.com", "ops;dev@example.com",
        "ops@example.com\r\nBcc: x@y", "ops\n@example.com", "ops@example.com\x00", "x" * 65 + "@example.com",
        "ops@" + "x" * 64 + ".com", 'ops"@example.com', '"ops@example.com', "ops@" + "a." * 130 + "com",
        "ops@exa\u2028mple.com", "ops>@example.com", "ops@example.com SIZE=1", "x" * 201 + " <ops@example.com>",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        addresses_of(text)


@pytest.mark.parametrize("domain", ["straße.example", "βόλος.example", "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example"])
def test_a_domain_that_old_rules_take_for_another_is_refused(domain: str) -> None:
    """IDNA 2003 makes strasse.example of the first: the mail would go to a stranger."""
    with pytest.raises(ValueError, match="xn--"):
        ascii_domain(domain)


def test_a_host_is_a_name_or_an_address() -> None:
    assert host_of("smtp.example.com") == "smtp.example.com"
    assert host_of("192.0.2.1") == "192.0.2.1"
    assert host_of("2001:DB8::1") == "2001:db8::1"
    for wrong in ("a b", "x\r\ny", "1:2:3", "-x.example", ""):
        with pytest.raises(ValueError, match=r"."):
            host_of(wrong)


_LIKE_ADDRESSES = st.text("ab@.,<>\"'[]!#+=?:1 ", max_size=30) | st.text(min_size=1, max_size=20).map("{}@a.example".format)


@given(st.text(max_size=80) | _LIKE_ADDRESSES)
def test_any_text_is_read_or_refused_and_what_is_read_is_one_word_for_the_wire(text: str) -> None:
    """Whatever is accepted goes into a command of the protocol and into a header."""
    try:
        read = addresses_of(text)
    except ValueError:
        return
    for address in read:
        assert not set(address.addr_spec) & set(" \t\r\n<>,;"), f"{address.addr_spec!r} would break out of MAIL FROM:<…>"
        assert quoteaddr(address.addr_spec) == f"<{address.addr_spec}>", "smtplib would send it to somebody else"
        assert address.domain.isascii()
        assert not set(address.display_name) & set("\r\n")


_LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Cn"), exclude_characters='"<>')


@given(st.text(_LETTERS, min_size=1, max_size=80).map(lambda text: " ".join(text.split())))
def test_any_name_arrives_beside_its_address(name: str) -> None:
    """Read by Python's older parser: the newer one puts blanks between the encoded words of a long name."""
    (sender,) = addresses_of(f'"{name}" <dewy@example.com>')
    mail = EmailMessage(MAIL_POLICY)
    mail["From"] = sender
    ((read, address),) = getaddresses([message_from_bytes(mail.as_bytes())["From"]])
    assert address == "dewy@example.com"
    assert str(make_header(decode_header(read))).split() == sender.display_name.split()
