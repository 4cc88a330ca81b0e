"""What a mail says and looks like."""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dewy.types import Message
from dewy.urls import parse_url
from dewy_notifier_mail.account import Account, account_of
from dewy_notifier_mail.cleaning import clean, end_of, one_line
from dewy_notifier_mail.mail import compose
from dewy_notifier_mail.plugin import NOTIFIER
from dewy_notifier_mail.rendering import render
from sample_messages import DONE, FAILED, samples

_INLINE = re.compile(r"[\w-]+:[^;]+(;[\w-]+:[^;]+)*\Z")


class Page(HTMLParser):
    """An HTML document as a reader sees it: its text, and what it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "title" not in self.open:
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.shown).split())


def account(url: str = "mail://smtp.example.com/ops@example.com?from=dewy@example.com") -> Account:
    return account_of(parse_url(url, NOTIFIER.options, kind="notifier"), {})


def mail_of(message: Message, of: Account | None = None) -> EmailMessage:
    return message_from_bytes(compose(message, of or account()), _class=EmailMessage, policy=default)


# ---------------------------------------------------------------------------------------------------------- what it says


def test_the_plain_part_tells_all_there_is_to_know_at_night() -> None:
    assert render(FAILED, "Dewy Notification").plain == (
        "myapp on web1: the before hook of v1.4.0 failed\n"
        "\n"
        "the before hook of v1.4.0 failed: it ended with status 3. v1.3.9 serves on, v1.4.0 is tried again in 10 s\n"
        "\n"
        "Application:    myapp\n"
        "Host:           web1\n"
        "Version:        v1.4.0\n"
        "Version before: v1.3.9\n"
        "Hook:           ./migrate.sh --all\n"
        "Exit status:    3\n"
        "Took:           2.1 s\n"
        "When:           2024-03-15 14:30:22 UTC\n"
        "Registry:       s3://us-east-1/releases/myapp\n"
        "Event:          hook.failed (error)\n"
        "\n"
        "Output:\n"
        "\n"
        "migrating\n"
        'ERROR: relation "users" does not exist\n'
    )


@pytest.mark.parametrize("message", [DONE, FAILED], ids=["done", "failed"])
def test_the_html_part_says_the_same(message: Message) -> None:
    rendered = render(message, "")
    page = Page(rendered.html)
    words = " ".join(rendered.plain.replace(":  ", " ").replace("Output:", "Output").split())
    assert page.text.split() == re.sub(r"(Version before|Exit status):", r"\1", words).split()


@pytest.mark.parametrize("message", samples().values(), ids=samples())
def test_each_kind_of_message_says_what_where_which_version_and_why_once(message: Message) -> None:
    plain = " ".join(render(message, "").plain.split())
    parts = (message.title, message.text, message.host, message.application, message.version, message.previous_version)
    for part in (*parts, message.error, message.hook, message.output, message.registry):
        assert " ".join(part.split()) in plain
    assert not message.error or plain.count(message.error) == 1


def test_an_error_that_the_text_does_not_say_has_a_line() -> None:
    assert "Error:          disk full\n" in render(replace(FAILED, error="disk full"), "").plain


def test_the_html_part_loads_nothing_and_styles_inline_only() -> None:
    page = Page(render(FAILED, "").html)
    assert page.tags <= {"html", "head", "meta", "title", "body", "div", "h1", "p", "table", "tr", "th", "td", "pre"}
    assert {name for name, _ in page.attributes} <= {"lang", "charset", "name", "content", "style", "role", "scope"}
    for name, value in page.attributes:
        if name == "style":
            assert _INLINE.match(value), value
            assert "url(" not in value
    assert ("content", "light dark") in page.attributes, "dark mode is turned by force without it"
    assert not re.search(r"[;\"]color:|background", render(FAILED, "").html), "a fixed colour may vanish in dark mode"


@pytest.mark.parametrize(
    ("status", "said"),
    [(0, "0"), (3, "3"), (-9, "ended by signal 9 (SIGKILL)"), (-60, "ended by signal 60"), (None, None)],
)
def test_the_status_is_told(status: int | None, said: str | None) -> None:
    plain = render(replace(FAILED, status=status), "").plain
    assert (f"Exit status:    {said}\n" in plain) if said else ("Exit status" not in plain)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "40 ms"), (2.1, "2.1 s"), (59.97, "60.0 s"), (125.2, "2 min 5 s"), (7325, "2 h 2 min 5 s")]
)
def test_the_duration_is_told(seconds: float, said: str) -> None:
    assert f"Took:           {said}\n" in render(replace(DONE, seconds=seconds), "").plain


def test_what_is_not_known_has_no_line() -> None:
    least = Message(event="log", level="info", title="dewy starts", text="", application="", host="web1", at=DONE.at)
    assert render(least, "").plain == "dewy starts\n\nHost:  web1\nWhen:  2024-03-15 14:30:22 UTC\nEvent: log (info)\n"


def test_a_long_output_is_cut_at_its_beginning_and_its_length_told() -> None:
    """The last lines say why it failed."""
    output = "".join(f"line {number}\n" for number in range(60_000))
    rendered = render(replace(FAILED, output=output, output_size=5_000_000), "")
    for text in (rendered.plain, rendered.html):
        assert "Output, its end (5,000,000 bytes in all)" in text
        assert "\nline 59999" in text
        assert "line 1\n" not in text
    assert len(rendered.plain) < 25_000
    assert rendered.plain.partition("in all):\n\n")[2].startswith("line "), "it starts in the middle of a line"


def test_an_output_that_dewy_has_cut_already_is_called_so() -> None:
    assert "its end (70,000 bytes in all)" in render(replace(FAILED, output="the end\n", output_size=70_000), "").plain


def test_terminal_sequences_are_not_shown() -> None:
    output = "\x1b[1;31mERROR\x1b[0m "
    output += "\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\ \x1b]0;title\x07done\r\n50%\r100%\x00\x08\n\x9b1m"
    plain = render(replace(FAILED, output=output), "").plain
    assert plain.endswith("Output:\n\nERROR link done\n50%\n100%\n1m\n")


def test_a_sequence_without_its_end_takes_no_more_than_its_line() -> None:
    assert "why it failed" in render(replace(FAILED, output="\x1b]0;oops\nwhy it failed"), "").plain


def test_every_field_is_bounded() -> None:
    huge = "word " * 100_000
    message = replace(
        DONE, title=huge, text=huge, application=huge, host=huge, version=huge, previous_version=huge, registry=huge,
        hook=huge, error=huge, event=huge, output=huge,
    )  # fmt: skip
    rendered = render(message, huge)
    assert len(rendered.subject) <= 200
    assert len(rendered.plain) < 60_000
    assert len(rendered.html) < 80_000


# ----------------------------------------------------------------------------------------------------------- the headers


def test_the_subject_has_its_prefix_which_may_be_empty() -> None:
    assert mail_of(DONE)["Subject"] == "Dewy Notification: myapp on web1: v1.4.0 is deployed"
    other = account("mail://h/ops@example.com?from=dewy@example.com&subject=%5Bprod%5D%20Žofie")
    assert mail_of(DONE, other)["Subject"] == "[prod] Žofie: myapp on web1: v1.4.0 is deployed"
    bare = account("mail://h/ops@example.com?from=dewy@example.com&subject=")
    assert mail_of(DONE, bare)["Subject"] == "myapp on web1: v1.4.0 is deployed"


@pytest.mark.parametrize(
    "title",
    [
        "could be € deployed v1.4.0 be café 🚀 naïve",
        "on 🚀 on деплоя not ошибка 🚀 🚀 could",
        "web1: деплоя žluťoučký 🚀 部署失败 be café could деплоя 🚀 部署失败 🚀 🚀 on 🚀",
        "žluťoučký kůň úpěl ďábelské ódy 🚀 a € b " * 4,
        "€" * 150,
        "x" * 150,
        "v1.4.0 " + "x" * 100 + " é " + "y" * 60,
    ],
)
def test_a_subject_of_any_alphabet_keeps_its_blanks(title: str) -> None:
    """Python's own way with long headers loses some between encoded words."""
    assert mail_of(replace(DONE, title=title))["Subject"] == f"Dewy Notification: {title.strip()}"


def test_the_headers_keep_answering_machines_quiet() -> None:
    mail = mail_of(FAILED)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Precedence"] == "bulk"
    assert mail["X-Auto-Response-Suppress"] == "OOF, AutoReply"


def test_the_headers_are_for_filters_and_for_the_list_of_mails() -> None:
    mail = mail_of(FAILED)
    assert (mail["X-Dewy-Event"], mail["X-Dewy-Level"], mail["X-Dewy-Host"]) == ("hook.failed", "error", "web1")
    assert (mail["X-Dewy-Application"], mail["X-Dewy-Version"]) == ("myapp", "v1.4.0")
    assert mail["Importance"] == "high"
    assert mail_of(DONE)["Importance"] is None
    assert mail["Date"] == "Fri, 15 Mar 2024 14:30:22 +0000"


def test_the_mails_of_one_deployment_are_a_thread() -> None:
    """Also across restarts: it comes from the deployment alone."""
    first, second = mail_of(DONE), mail_of(FAILED)
    assert first["References"] == second["References"] == first["In-Reply-To"]
    for change in ({"deployment": "20240315T143023Z"}, {"host": "web2"}, {"application": "shop"}):
        assert mail_of(replace(DONE, **change))["References"] != first["References"], change
    assert first["Message-ID"] not in (second["Message-ID"], first["References"])
    assert first["Message-ID"].endswith("@example.com>")
    alone = mail_of(replace(DONE, deployment=""))
    assert alone["References"] is None
    assert alone["In-Reply-To"] is None


def test_a_mail_that_is_sent_again_is_known_for_the_same() -> None:
    assert compose(DONE, account()) == compose(DONE, account())
    assert mail_of(DONE)["Message-ID"] != mail_of(replace(DONE, host="web2"))["Message-ID"]


def test_identifiers_of_a_long_domain_stay_as_they_are() -> None:
    """A mail program compares them letter by letter."""
    domain = ".".join(["a-long-label-of-a-domain"] * 8) + ".example"
    content = compose(DONE, account(f"mail://h/ops@example.com?from=dewy@{domain}"))
    thread = re.search(rb"^References: (<[^<>\s]+>)\r$", content, re.MULTILINE)
    assert thread
    assert b"In-Reply-To: " + thread[1] + b"\r\n" in content


def test_an_encoded_word_in_a_title_is_text() -> None:
    """Mail programs would decode it, and show what is in it."""
    mail = mail_of(replace(DONE, title="=?utf-8?q?fine=0ABcc:_everybody@example.org?="))
    assert mail["Bcc"] is None
    assert "= ?utf-8?q?fine" in mail["Subject"]


# ------------------------------------------------------------------------------------------------------------- any text

ODD = st.text(st.characters() | st.sampled_from("\r\n\x1b<>&\"'=?.:; \x00\x85\u2028\ud800\u202e€🚀"), max_size=200)
MESSAGES = st.builds(
    Message,
    event=ODD, level=st.sampled_from(["debug", "info", "warn", "error"]), title=ODD, text=ODD, application=ODD, host=ODD,
    at=st.just(DONE.at), version=ODD, previous_version=ODD, registry=ODD, seconds=st.none() | st.floats(0, 1e9),
    deployment=ODD, hook=ODD, status=st.none() | st.integers(-70, 255), output=ODD, error=ODD,
    output_size=st.integers(0, 1 << 40),
)  # fmt: skip
_HEADERS = {
    "from", "to", "subject", "date", "message-id", "in-reply-to", "references", "auto-submitted", "precedence", "importance",
    "x-auto-response-suppress", "x-dewy-event", "x-dewy-level", "x-dewy-application", "x-dewy-host", "x-dewy-version",
    "mime-version", "content-type",
}  # fmt: skip
_URLS = st.sampled_from(
    ["mail://h/ops@example.com?from=dewy@example.com", "mail://h/jiří@example.com?from=Žofie%20<dewy@example.com>"]
)


@settings(max_examples=200)
@given(MESSAGES, _URLS)
def test_any_message_makes_a_mail_that_reads_back(message: Message, url: str) -> None:
    of = account(url)
    content = compose(message, of)
    rendered = render(message, of.subject)
    mail = message_from_bytes(content, _class=EmailMessage, policy=default)
    assert {name.lower() for name in mail.keys()} <= _HEADERS, "a header was smuggled in"  # noqa: SIM118 - keys may repeat
    assert len(mail.keys()) == len({name.lower() for name in mail.keys()})  # noqa: SIM118
    assert mail["Subject"] == rendered.subject
    assert mail.defects == []
    parts = list(mail.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert [part.get_content().replace("\r\n", "\n") for part in parts] == [rendered.plain, rendered.html]


@settings(max_examples=200)
@given(MESSAGES, _URLS)
def test_any_mail_keeps_to_the_lines_of_the_protocol(message: Message, url: str) -> None:
    """RFC 5321, 4.5.3.1.6: a line has at most 998 bytes; and without SMTPUTF8 they are ASCII."""
    of = account(url)
    content = compose(message, of)
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    body = content if not of.international else content.partition(b"\r\n\r\n")[2]
    assert body.isascii()


@settings(max_examples=200)
@given(MESSAGES)
def test_any_html_part_is_sound_and_shows_what_the_plain_part_does(message: Message) -> None:
    rendered = render(message, "")
    page = Page(rendered.html)
    assert page.tags <= {"html", "head", "meta", "title", "body", "div", "h1", "p", "table", "tr", "th", "td", "pre"}
    for text in (message.title, message.host, message.version, message.previous_version, message.registry):
        assert one_line(text, 500) in page.text
    for text in (message.text, message.error, message.hook):
        words = " ".join(clean(text, 4_000).split())
        assert words in page.text
        assert words in " ".join(rendered.plain.split())
    assert " ".join(end_of(message.output, 20_000)[0].split()) in page.text


@given(ODD, st.integers(1, 50))
def test_what_is_cleaned_is_bounded_and_printable(text: str, most: int) -> None:
    for cleaned in (clean(text, most), one_line(text, most), end_of(text, most)[0]):
        assert len(cleaned) <= most
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]", cleaned)
        cleaned.encode()
    assert "\n" not in one_line(text, most)
