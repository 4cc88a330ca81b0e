"""The page on notifications says what dewy does: its table, its URLs and its messages are held to the code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dewy.events import EVENTS
from dewy.notify import Facts, NotifierConsumer
from dewy.plugins import load_plugins
from dewy.testing import Recorder, TestContext
from dewy.types import Event, Message
from dewy.urls import parse_url
from dewy_notifier_mail.account import Account, Tls, account_of
from dewy_notifier_mail.plugin import NOTIFIER as MAIL
from dewy_notifier_mail.rendering import render as render_mail
from dewy_notifier_slack.rendering import render as render_slack
from documents import ROOT
from running import DEWY, environment
from sample_messages import FIELDS, samples
from slack_server import SlackServer
from slack_view import shown

PAGE = (ROOT / "docs" / "notifications.md").read_text("utf-8")
BLOCKS = {title: text for _, title, text in re.findall(r'^(`{3,4})\w+ title="([^"\n]+)"\n(.*?)^\1$', PAGE, re.M | re.S)}
URLS = re.findall(r"^\| `((?:slack|mail|smtp)://[^`]*)` \|(.*)\|$", PAGE, re.M)


# ------------------------------------------------------------------------------------------------------ what is told when


class Outbox:
    """A notifier that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


def told(*, quiet: bool) -> set[str]:
    """What a notifier tells of one event of every kind that there is, each in a dewy of its own."""
    facts, names = Facts(application="myapp", host="web1", registry="file:///srv/myapp"), set()
    for name, kind in EVENTS.items():
        if name in FIELDS:
            outbox = Outbox()
            event = Event(name=name, level=kind.level, text=kind.text, at=samples()[name].at, fields=FIELDS[name])
            NotifierConsumer(outbox, "test", facts, Recorder(), quiet=quiet)(event)
            names |= {message.event for message in outbox.messages}
    return names


def test_the_table_has_every_kind_that_is_told_with_its_level_its_title_and_what_a_quiet_notifier_tells() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\w+) \| (.*?) \| (✓ )?\|$", PAGE, re.M)
    quiet = told(quiet=True)
    kinds = [
        (kind.name, kind.level, kind.title, "✓ " if kind.name in quiet else "") for kind in EVENTS.values() if kind.title
    ]
    assert rows == kinds
    assert told(quiet=False) == {name for name, *_ in rows}


def test_the_page_names_the_bounds_that_there_are() -> None:
    from dewy import notify, service, stream

    assert (notify._MOST_ERRORS, notify._ATTEMPTS, notify._MOST_WAIT) == (3, 4, 30)
    assert (stream._QUEUE_LENGTH, service._FLUSH) == (1000, 5)
    words = " ".join(PAGE.split())
    for said in ("The third error in a row", "tried four times", "up to half a minute", "1000 events", "five seconds"):
        assert said in words


# --------------------------------------------------------------------------------------------------- what it looks like


def test_the_mail_on_the_page_is_the_one_that_is_sent() -> None:
    rendered = render_mail(samples()["deployment.failed"], "Dewy Notification")
    assert f"Subject: {rendered.subject}\n\n{rendered.plain}" == BLOCKS["mail"]


def test_the_post_on_the_page_is_the_one_that_slack_shows() -> None:
    post = render_slack(samples()["deployment.failed"])
    assert f"{shown({'text': post.text, 'attachments': [post.attachment]})}\n" == BLOCKS["slack"]


# --------------------------------------------------------------------------------------------------------------- the URLs


def test_the_page_has_urls_of_every_kind() -> None:
    assert {url.partition(":")[0] for url, _ in URLS} == {"slack", "mail", "smtp"}


@pytest.mark.parametrize("url", [url for url, _ in URLS])
def test_every_url_of_the_page_opens(url: str, tmp_path: Path) -> None:
    load_plugins({}).notifier(url, TestContext(tmp_path, {"SLACK_TOKEN": "xoxb-token"}))


@pytest.mark.parametrize(("url", "row"), [(url, row) for url, row in URLS if not url.startswith("slack:")])
def test_every_mail_url_means_what_stands_beside_it(url: str, row: str) -> None:
    account = account_of(parse_url(url, MAIL.options, kind="notifier"), {})
    assert [cell.strip() for cell in row.split("|")] == list(_row(account))


def _row(account: Account) -> Iterator[str]:
    tls = {Tls.STARTTLS: "STARTTLS", Tls.IMPLICIT: "TLS", Tls.NONE: "no TLS"}
    yield f"{account.server}, {tls[account.server.tls]}"
    yield f"{account.login.username}, {account.login.password}" if account.login else ""
    yield account.sender.addr_spec
    yield ", ".join(address.addr_spec for address in account.recipients)


# ------------------------------------------------------------------------------------------------------------- trying it


def test_the_trial_of_the_page_sends_what_the_page_says(tmp_path: Path) -> None:
    script = re.sub(r"\bdewy\b", " ".join(DEWY), BLOCKS["try"])
    slack = SlackServer()
    try:
        environ = environment(**slack.environ, NO_PROXY="127.0.0.1")
        subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environ, check=False, timeout=60)
    finally:
        slack.close()
    titles = [str(posted.request["text"]).partition(": ")[2] for posted in slack.posted]
    assert titles == ["dewy started", "deploying v1.0.0", "v1.0.0 is deployed", "dewy stopped"]
