"""What URLs and the environment say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dewy.errors import UsageError
from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_notifier_slack.plugin import NOTIFIER
from dewy_notifier_slack.settings import Settings

CANARY = "xoxb-canary-of-the-environment"


def settings(url: str, **environ: str) -> Settings:
    return Settings.read(parse_url(url, NOTIFIER.options, kind="notifier"), {"SLACK_TOKEN": CANARY, **environ})


@pytest.mark.parametrize(
    ("url", "channel"),
    [
        ("slack://deploys", "#deploys"),
        ("slack://%23deploys", "#deploys"),
        ("slack://Team-Ops_1", "#team-ops_1"),
        ("slack://C0123ABCDEF", "C0123ABCDEF"),
        ("slack://G0123ABCDEF", "G0123ABCDEF"),
        ("slack://U0123ABCDEF/", "U0123ABCDEF"),
        ("slack://développement", "#développement"),
        ("slack://デプロイ", "#デプロイ"),
    ],
)
def test_the_channel_is_a_name_or_an_id_as_written(url: str, channel: str) -> None:
    assert str(settings(url).channel) == channel


def test_options_are_read() -> None:
    read = settings("slack://deploys?title=My%20Shop&url=https://shop.example.com/?a=b&thread=true&quiet=true")
    assert (read.title, read.link, read.thread) == ("My Shop", "https://shop.example.com/?a=b", True)
    plain = settings("slack://deploys")
    assert (plain.title, plain.link, plain.thread) == ("", "", False)


def test_the_client_is_pointed_elsewhere_by_the_environment() -> None:
    assert settings("slack://deploys", SLACK_API_URL="http://127.0.0.1:1/api").api_url == "http://127.0.0.1:1/api"
    assert settings("slack://deploys", SLACK_API_URL="").api_url == "https://slack.com/api/"


@pytest.mark.parametrize(
    ("url", "environ", "said"),
    [
        ("slack://", {}, "names no Slack channel"),
        ("slack:///deploys", {}, "more in it than a channel"),
        ("slack://deploys/more", {}, "more in it than a channel"),
        ("slack://deploys:8080", {}, "more in it than a channel"),
        ("slack://two%20words", {}, "names no Slack channel"),
        ("slack://a%0ab", {}, "names no Slack channel"),
        ("slack://%40somebody", {}, "names a person"),
        ("slack://@somebody", {}, "names a person"),
        ("slack://somebody@deploys", {}, "user name in it"),
        ("slack://" + "x" * 81, {}, "names no Slack channel"),
        ("slack://deploys?url=javascript:alert(1)", {}, "option 'url' .*takes a URL"),
        ("slack://deploys?url=ftp://h/", {}, "option 'url' .*not the URL of a web page"),
        ("slack://deploys?url=https://u:p@h/", {}, "option 'url' .*user name"),
        ("slack://deploys", {"SLACK_API_URL": "slack.example.com"}, "SLACK_API_URL is not the URL"),
        ("slack://deploys", {"SLACK_API_URL": f"https://u:{CANARY}@h/"}, "SLACK_API_URL has a user name"),
        ("slack://deploys", {"SLACK_API_URL": "http://[::1/"}, "SLACK_API_URL is not the URL"),
        ("slack://deploys", {"SLACK_TOKEN": f"{CANARY}\nX-More: 1"}, "SLACK_TOKEN is no token"),
    ],
)
def test_what_is_wrong_is_named_when_it_is_opened(url: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        settings(url, **environ)
    assert CANARY not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("token", ["", "  \n"])
def test_a_missing_token_says_what_to_do_and_which_scopes(token: str) -> None:
    with pytest.raises(UsageError, match="SLACK_TOKEN") as caught:
        settings("slack://deploys", SLACK_TOKEN=token)
    for scope in ("chat:write", "channels:join", "channels:read"):
        assert scope in caught.value.hint


def test_the_token_is_secret_and_never_shown(tmp_path: Path) -> None:
    context = TestContext(tmp_path, {"SLACK_TOKEN": f"{CANARY}\n"})
    notifier = NOTIFIER.open(parse_url("slack://deploys", NOTIFIER.options), context)
    assert context.secrets == [CANARY]
    assert CANARY not in f"{notifier!r} {vars(notifier)!r} {settings('slack://deploys')!r}"
