"""When Slack refuses, answers oddly, slowly, or not at all; and that the token is in no error."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
import warnings
from collections.abc import Callable

import pytest

from dewy.errors import NotifierError
from dewy.testing.failures import check_sentence
from dewy.urls import parse_url
from dewy_notifier_slack.api import _MOST_HANGING, _PATIENCE, SlackApi
from dewy_notifier_slack.notifier import SlackNotifier
from dewy_notifier_slack.plugin import NOTIFIER
from dewy_notifier_slack.settings import Settings
from http_server import Server, says
from sample_messages import DONE
from slack_server import TOKEN, Fault, SlackServer

Opens = Callable[..., SlackNotifier]

HTML = Fault(b"<html><body>Please log in: " + TOKEN.encode() + b"</body></html>", headers={"Content-Type": "text/html"})


def failure(notifier: SlackNotifier) -> NotifierError:
    """What sending raises: a sentence, in which the token is not, nor in its traceback."""
    with pytest.raises(NotifierError) as caught:
        notifier.send(DONE)
    error = caught.value
    check_sentence(error)
    assert TOKEN not in f"{error} {error!r} {error.hint} {''.join(traceback.format_exception(error))}"
    return error


# --------------------------------------------------------------------------------------------------- what Slack says


@pytest.mark.parametrize(
    ("code", "said", "hint", "permanent"),
    [
        ("channel_not_found", "no such channel", "/invite", True),
        ("invalid_auth", "token is not valid", "SLACK_TOKEN", True),
        ("not_authed", "no token arrived", "SLACK_TOKEN", True),
        ("token_revoked", "token was revoked", "Install the Slack app", True),
        ("token_expired", "token has expired", "rotation", True),
        ("account_inactive", "deactivated", "Install the Slack app", True),
        ("is_archived", "channel is archived", "Unarchive it", True),
        ("restricted_action", "does not let the app post", "administrator", True),
        ("restricted_action_read_only_channel", "does not let the app post", "administrator", True),
        ("messages_tab_disabled", "no direct messages", "Messages Tab", True),
        ("internal_error", "trouble of its own", "passes by itself", False),
        ("team_added_to_org", "being moved", "passes by itself", False),
        ("a_word_of_tomorrow", "Slack answered a_word_of_tomorrow", "", False),
        ("<b>odd</b> words\n", "not one of Slack's", "SLACK_API_URL", False),
    ],
)
def test_each_refusal_says_what_is_wrong_and_what_to_do_and_whether_to_try_again(
    slack: SlackServer, opens: Opens, code: str, said: str, hint: str, permanent: bool
) -> None:
    slack.meets("chat.postMessage", Fault.error(code))
    error = failure(opens())
    assert "#deploys" in error.message
    assert said in error.message
    assert hint in error.hint
    assert (error.retry_after, error.permanent) == (None, permanent)
    assert len(slack.requests) == 1, "dewy tries again, not the SDK"


def test_a_missing_scope_is_named(slack: SlackServer, opens: Opens) -> None:
    slack.scopes.remove("chat:write")
    error = failure(opens())
    assert "lacks the scope chat:write" in error.message
    assert "OAuth & Permissions" in error.hint
    assert error.permanent


def test_a_token_of_another_workspace_is_refused(slack: SlackServer) -> None:
    environ = {**slack.environ, "SLACK_TOKEN": "xoxb-other"}
    settings = Settings.read(parse_url("slack://deploys", NOTIFIER.options), environ)
    assert "token is not valid" in failure(SlackNotifier(settings)).message


# ------------------------------------------------------------------------------------------------------ too many, too odd


@pytest.mark.parametrize(
    ("headers", "asked"),
    [({"Retry-After": "7"}, 7.0), ({"retry-after": "999999"}, 3600.0), ({"Retry-After": "soon"}, None), ({}, None)],
)
@pytest.mark.parametrize("body", [b'{"ok":false,"error":"ratelimited"}', b"slow down"], ids=["json", "text"])
def test_too_many_requests_say_when_to_come_back(
    slack: SlackServer, opens: Opens, headers: dict[str, str], asked: float | None, body: bytes
) -> None:
    slack.meets("chat.postMessage", Fault(body, status=429, headers=headers))
    notifier = opens()
    error = failure(notifier)
    assert (error.retry_after, error.permanent, len(slack.requests)) == (asked, False, 1)
    notifier.send(DONE)
    assert len(slack.posted) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(b"oops", status=500), "out of order (HTTP 500)"),
        (Fault(b"", status=503), "out of order (HTTP 503)"),
        (Fault(b"<html>", status=404), "not one of Slack's (HTTP 404)"),
        (HTML, "not one of Slack's (HTTP 200)"),
        (Fault(b""), "not one of Slack's (HTTP 200)"),
        (Fault(b"[]"), "not one of Slack's (HTTP 200)"),
        (Fault(b"null"), "not one of Slack's (HTTP 200)"),
        (Fault(b'"ok"'), "not one of Slack's (HTTP 200)"),
        (Fault(b"\xff\xfe"), "not one of Slack's (HTTP 200)"),
        (Fault(b"[" * 100_000), "not one of Slack's (HTTP 200)"),
        (Fault(b"{}", headers={"Content-Type": "application/gzip"}), "not one of Slack's (HTTP 200)"),
        (Fault(b"{}", headers={"Content-Type": "text/plain; charset=klingon"}), "not one of Slack's (HTTP 200)"),
        (Fault(b'{"ok": true', headers={"Content-Length": "100"}), "broke off"),
        (Fault(drop=0), "broke off"),
        (Fault(status=302, headers={"Location": "file:///etc/passwd"}), "(HTTP 302)"),
    ],
)  # fmt: skip
def test_answers_that_are_none_are_errors(slack: SlackServer, opens: Opens, fault: Fault, said: str) -> None:
    slack.meets("chat.postMessage", fault)
    notifier = opens()
    error = failure(notifier)
    assert said in error.message
    assert not error.permanent, "a login page on the way to Slack passes"
    notifier.send(DONE)
    assert len(slack.posted) == 1, "the next message goes through"


@pytest.mark.parametrize("answer", [{"ok": True}, {"ok": True, "channel": None, "ts": 7}])
def test_an_answer_with_little_in_it_is_enough(slack: SlackServer, opens: Opens, answer: dict[str, object]) -> None:
    slack.always = Fault(json.dumps(answer).encode())
    notifier = opens("slack://deploys?thread=true")
    notifier.send(DONE)
    notifier.send(DONE)
    assert [request.get("thread_ts") for _, request in slack.requests] == [None, None]


@pytest.mark.parametrize(
    "page", [{}, {"channels": None}, {"channels": ["x"]}, {"channels": 7}, {"response_metadata": "x"}, {"channels": [{}]}]
)
def test_an_odd_list_of_channels_is_an_error(slack: SlackServer, opens: Opens, page: dict[str, object]) -> None:
    slack.channels[0].joined = False
    slack.meets("conversations.list", Fault(json.dumps({"ok": True, **page}).encode()))
    assert "#deploys" in failure(opens()).message


def test_a_refused_connection_names_the_server(slack: SlackServer, opens: Opens) -> None:
    notifier = opens()
    slack.close()
    error = failure(notifier)
    assert "no connection to 127.0.0.1:" in error.message
    assert "Connection refused" in error.message
    assert not error.permanent


# ---------------------------------------------------------------------------------------------------------- too slow


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(b"{" + b" " * 10_000 + b"}", drip=0.02)], ids=["hangs", "drips"])
def test_a_server_that_is_too_slow_is_given_up(slack: SlackServer, opens: Opens, fault: Fault) -> None:
    slack.meets("chat.postMessage", fault)
    notifier = opens(patience=0.4)
    started = time.monotonic()
    assert "in time" in failure(notifier).message
    assert time.monotonic() - started < 3
    notifier.send(DONE)
    assert len(slack.posted) == 1, "the next message goes through"


def test_all_calls_of_a_message_share_its_time(slack: SlackServer, opens: Opens) -> None:
    assert _PATIENCE <= 30
    slack.channels[0].joined = False
    slack.meets(
        "conversations.list", *[Fault(b'{"ok": true, "response_metadata": {"next_cursor": "at0"}}', drip=0.005)] * 20
    )
    started = time.monotonic()
    assert "in time" in failure(opens(patience=0.5)).message
    assert time.monotonic() - started < 3


def test_what_hangs_is_bounded(slack: SlackServer, opens: Opens) -> None:
    slack.always = Fault(hang=True)
    notifier = opens(patience=0.1)
    before = threading.active_count()
    for _ in range(_MOST_HANGING):
        assert "in time" in failure(notifier).message
    assert "earlier calls of Slack still hang" in failure(notifier).message
    assert len(slack.requests) == _MOST_HANGING
    assert threading.active_count() <= before + 2 * _MOST_HANGING  # the client's, and the server's


# ------------------------------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["another host", "the same host"])
def test_the_token_is_shown_to_nobody_to_whom_an_answer_leads(
    slack: SlackServer, opens: Opens, status: int, where: str
) -> None:
    """urllib follows redirects with all headers, and would take the other's answer for Slack's."""
    with Server(says(200, b'{"ok": true, "channel": "C0000000001", "ts": "1"}')) as other:
        place = f"http://localhost:{other.port}/api/" if where == "another host" else f"{slack.url}/"
        slack.meets("chat.postMessage", Fault(status=status, headers={"Location": f"{place}chat.postMessage"}))
        notifier = opens()
        assert f"not one of Slack's (HTTP {status})" in failure(notifier).message
    assert other.requests == []
    assert len(slack.requests) == 1
    notifier.send(DONE)
    assert len(slack.posted) == 1, "the next message goes through"


def test_a_proxy_of_the_environment_is_asked_and_no_proxy_goes_past_it(
    slack: SlackServer, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(says(502)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert "HTTP 502" in failure(opens()).message
        assert proxy.requests[0].target == f"{slack.url}/chat.postMessage"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        opens().send(DONE)
        assert (len(proxy.requests), len(slack.posted)) == (1, 1)


def test_the_token_is_in_no_log_warning_or_repr(
    slack: SlackServer, opens: Opens, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    notifier = opens()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        notifier.send(DONE)
        for fault in (Fault.error("invalid_auth"), HTML, Fault(drop=0), Fault(status=500)):
            slack.meets("chat.postMessage", fault)
            failure(notifier)
    printed = capfd.readouterr()
    texts = (caplog.text, printed.out, printed.err, *map(str, warned), repr(notifier), repr(vars(notifier)))
    assert not any(TOKEN in text for text in texts)
    assert all(TOKEN not in json.dumps(dict(posted.request)) for posted in slack.posted)


def test_the_sdk_does_not_try_again_by_itself(slack: SlackServer) -> None:
    settings = Settings.read(parse_url("slack://deploys", NOTIFIER.options), slack.environ)
    assert SlackApi(settings).client.retry_handlers == []
