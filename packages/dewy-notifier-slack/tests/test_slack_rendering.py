"""What a message looks like in Slack."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dewy.types import Level, Message
from dewy_notifier_slack.markup import clean, code_block, code_span, escape, line, link, shorten, tail
from dewy_notifier_slack.rendering import Post, render
from sample_messages import DONE, FAILED, samples
from slack_view import complaints_about, shown

NASTY = st.text(st.sampled_from("<>&`*_~|!@#ab \n\r\t\x1b[]\x07\x9b0m;…€🚀\ud800\u202e\u200b"), max_size=400)
ANY = st.one_of(NASTY, st.text(max_size=200), NASTY.map(lambda text: text * 40))


def request(post: Post) -> dict[str, Any]:
    quiet = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
    return {"text": post.text, "attachments": [post.attachment], **quiet}


def seen(message: Message, **options: str) -> str:
    return shown(request(render(message, **options)))


def output_block(message: Message) -> str:
    (block,) = (
        one["text"]["text"]
        for one in render(message).attachment["blocks"]
        if one.get("text", {}).get("text", "")[:8] == "*Output*"
    )
    assert isinstance(block, str)
    return block


# ------------------------------------------------------------------------------------------------------ what it all says


def test_a_failure_says_what_where_which_version_why_and_what_was_printed() -> None:
    text = seen(FAILED)
    for part in (
        FAILED.title,
        FAILED.text,
        "*Host*\nweb1",
        "*Application*\nmyapp",
        "*Version*\n`v1.4.0` (before: `v1.3.9`)",
        "*Took*\n2.1s",
        "*Hook*\n`./migrate.sh --all`",
        "*Exit status*\n3",
        '*Output*\n```\nmigrating\nERROR: relation "users" does not exist\n```',
        "2024-03-15 14:30:22 UTC · s3://us-east-1/releases/myapp",
    ):
        assert part in text


def test_an_error_that_the_text_does_not_say_is_added() -> None:
    assert seen(FAILED).count("it ended with status 3") == 1
    assert "disk full" in seen(replace(FAILED, error="disk full"))


def test_the_title_alone_is_enough_for_a_telephone() -> None:
    assert render(DONE).text == "myapp on web1: v1.4.0 is deployed"
    assert render(FAILED).attachment["fallback"].startswith(FAILED.title)


@pytest.mark.parametrize(
    ("event", "level", "colour"),
    [
        ("deployment.done", "info", "good"),
        ("registry.recovered", "info", "good"),
        ("application.recovered", "info", "good"),
        ("application.restarted", "info", "good"),
        ("dewy.started", "info", "#8d8d8d"),
        ("deployment.started", "debug", "#8d8d8d"),
        ("artifact.changed", "warn", "warning"),
        ("deployment.failed", "error", "danger"),
        ("deployment.done", "error", "danger"),
    ],
)
def test_the_colour_says_how_it_went(event: str, level: Level, colour: str) -> None:
    assert render(replace(DONE, event=event, level=level)).attachment["color"] == colour


def test_the_title_leads_to_the_url() -> None:
    assert render(DONE, url="https://shop.example.com/?a=1&b=<2>|3").text == (
        "<https://shop.example.com/?a=1&amp;b=%3C2%3E%7C3|myapp on web1: v1.4.0 is deployed>"
    )


def test_a_title_of_ones_own_replaces_the_applications_name() -> None:
    assert render(DONE, title="Shop <EU>").text == "Shop &lt;EU&gt; on web1: v1.4.0 is deployed"
    assert render(replace(DONE, title="v1.4.0 is deployed"), title="Shop").text == "Shop: v1.4.0 is deployed"
    assert "*Application*\nShop" in seen(DONE, title="Shop")


@pytest.mark.parametrize(
    ("version", "before", "told"),
    [("v2", "v1", "*Version*\n`v1` → `v2`\n"), ("v2", "", "*Version*\n`v2`\n"), ("v2", "v2", "*Version*\n`v2`\n")],
)
def test_the_versions(version: str, before: str, told: str) -> None:
    assert told in seen(replace(DONE, version=version, previous_version=before))


@pytest.mark.parametrize("message", samples().values(), ids=samples())
def test_each_kind_of_message_says_what_where_which_version_and_why(message: Message) -> None:
    text = " ".join(seen(message).split())
    parts = (message.title, message.text, message.host, message.application, message.version, message.previous_version)
    for part in (*parts, message.error, message.hook, message.output, message.registry):
        assert " ".join(part.split()) in text
    assert ("→" in text) == (message.level != "error" and message.previous_version not in ("", message.version))
    assert list(complaints_about({"text": render(message).text, "attachments": [render(message).attachment]})) == []


def test_a_signal_is_told_as_one() -> None:
    assert "killed by signal 9" in seen(replace(FAILED, status=-9))


def test_little_is_enough() -> None:
    least = Message(
        event="log", level="info", title="", text="", application="", host="", at=datetime(2024, 1, 1, tzinfo=UTC)
    )
    assert not list(complaints_about(request(render(least))))


# ------------------------------------------------------------------------------------------------------------ the output


def test_a_long_output_is_cut_from_its_beginning_and_its_length_told() -> None:
    output = "".join(f"line {number}\n" for number in range(1000))
    block = output_block(replace(FAILED, output=output, output_size=1_234_567))
    assert block.startswith("*Output* (the end of 1,234,567 bytes)\n```\nline ")
    assert block.endswith("\nline 998\nline 999\n```")


def test_what_the_core_left_out_is_told_too() -> None:
    assert "(the end of 70,000 bytes)" in output_block(replace(FAILED, output="the end\n", output_size=70_000))


def test_an_output_whose_last_line_end_was_taken_off_is_whole() -> None:
    assert output_block(replace(FAILED, output="all of it", output_size=10)).startswith("*Output*\n```\nall of it")
    assert "(the end" not in output_block(replace(FAILED, output="all of it\n", output_size=10))
    assert "(the end" not in output_block(replace(FAILED, output="žluť\n", output_size=0))


def test_an_output_of_one_endless_line_is_cut_within_it() -> None:
    block = output_block(replace(FAILED, output="a" * 100_000 + "THE END", output_size=100_007))
    assert block.endswith("aTHE END\n```")
    assert len(block) <= 3000


def test_colours_cursors_titles_and_rewritten_lines_are_taken_out() -> None:
    printed = "\x1b[1;31mred\x1b[0m \x1b]0;window title\x07ok\x1b(B \x00\x08nul\r\n10%\r50%\r100%\n\x9b2Jdone\x1b[?25h\n"
    assert "```\nred ok nul\n100%\ndone\n```" in output_block(replace(FAILED, output=printed))


def test_an_output_cannot_end_its_block_or_ping_anybody() -> None:
    printed = "```\n<!channel> <@U0123ABCDEF> <!subteam^S1> & *bold*\n``````"
    block = output_block(replace(FAILED, output=printed))
    assert block.count("```") == 2
    assert "&lt;!channel&gt; &lt;@U0123ABCDEF&gt; &lt;!subteam^S1&gt; &amp; *bold*" in block


@pytest.mark.parametrize("output", ["", "\n\n", " \x1b[0m\n"])
def test_no_output_no_block(output: str) -> None:
    assert "*Output*" not in seen(replace(FAILED, output=output))


# ------------------------------------------------------------------------------------------------------------- properties


TEXTS = ("title", "text", "version", "previous_version", "application", "host", "output", "hook", "error", "registry")


@settings(suppress_health_check=[HealthCheck.too_slow])  # ten long texts are many letters to draw
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(TEXTS, ANY)), NASTY)
def test_whatever_it_says_slack_takes_it_and_nobody_is_pinged(texts: dict[str, Any], title: str) -> None:
    post = render(replace(FAILED, **texts), title=line(title), url="https://shop.example.com/?a=1&b=|<>")
    assert list(complaints_about(request(post))) == []
    assert list(complaints_about({**request(post), "text": post.plain, "attachments": []})) == []
    for markup in (post.text, post.plain, str(post.attachment)):
        markup.encode()  # no half of a surrogate pair, which no JSON of Slack's carries


@given(ANY)
def test_clean_texts_have_nothing_a_terminal_acts_on(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e]", clean(text))


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf"))))
def test_plain_texts_stay_as_they_are(text: str) -> None:
    assert clean(text) == text
    assert unescape(escape(text.replace("&", "and"))) == text.replace("&", "and")
    assert escape(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@given(ANY, st.integers(10, 300))
def test_shortened_texts_fit_and_keep_both_ends(text: str, size: int) -> None:
    short = shorten(text, size)
    assert len(escape(short)) <= size
    if short != text:
        head, _, end = short.partition(" … ")
        assert text.startswith(head)
        assert " … " in text or text.endswith(end)


@given(ANY, st.integers(20, 300), st.integers(1, 10))
def test_tails_are_ends_that_fit_into_their_block(text: str, size: int, lines: int) -> None:
    end = tail(text, size, lines)
    assert text.endswith(end)
    assert len(code_block(end)) <= size
    assert end.count("\n") < lines or end == text


@given(ANY)
def test_nothing_ends_a_block_or_span_of_code(text: str) -> None:
    block = code_block(text)
    assert block.count("```") == 2
    span = code_span(line(text) or "x")
    assert span.count("```") == 2 or (span.count("`") == 2 and span[0] == span[-1] == "`")


@given(ANY)
def test_a_link_is_one_link(text: str) -> None:
    assert re.fullmatch(r"<https://h/[^<>|]*\|[^<>]*>", link("https://h/" + line(text).replace(" ", ""), line(text)))
