"""From a message to what Slack shows: a title, and below it the details beside a bar whose colour says how it went. Pure.

The title is the post's own text, which is also what a phone shows. The rest is one attachment of blocks. Sizes keep to
Slack's documented limits: 3,000 characters in a section, 2,000 in a field, 10 fields; and to about 13,000 for all blocks of
a post, which is not documented.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dewy.durations import format_duration
from dewy.types import Message
from dewy_notifier_slack.markup import clean, code_block, code_span, escape, line, link, shorten, tail

__all__ = ["Post", "render"]

Block = dict[str, Any]

_TITLE, _TEXT, _FIELD, _HOOK, _OUTPUT, _OUTPUT_LINES = 250, 2800, 300, 600, 2800, 40
_MOST_CLEANED = 64 * 1024
"""Characters from the end of an output that are looked at: far more than are shown."""
_FEW = 16  # bytes: line ends at its end are no output that somebody misses

_GREEN, _YELLOW, _RED, _GREY = "good", "warning", "danger", "#8d8d8d"
_GOOD_NEWS = frozenset({"deployment.done", "application.restarted"})


@dataclass(frozen=True, slots=True)
class Post:
    """What is posted.

    Attributes:
        text: The title, in Slack's markup: the first line, and what notifications and screen readers say.
        attachment: The details.
        plain: Title and details in a text alone, should Slack not take the attachment.
    """

    text: str
    attachment: dict[str, Any]
    plain: str


def render(message: Message, *, title: str = "", url: str = "") -> Post:
    """The form of a message in Slack.

    Args:
        message: What is told.
        title: Stands in place of the application's name; empty to keep it.
        url: Where the title leads; empty for nowhere.
    """
    headline = shorten(_headline(message, title), _TITLE)
    shown = link(url, headline) if url else escape(headline)
    details = escape(shorten(_details(message), _TEXT))
    return Post(
        text=shown,
        attachment={
            "color": _colour(message),
            "fallback": escape(shorten(f"{headline}\n{_details(message)}", _TEXT)),
            "blocks": [
                *([_section(details)] if details else []),
                {"type": "section", "fields": [_mrkdwn(f"*{name}*\n{value}") for name, value in _fields(message, title)]},
                *_output(message),
                {"type": "context", "elements": [_mrkdwn(_footer(message))]},
            ],
        },
        plain="\n".join(filter(None, (shown, details, escape(line(f"{message.application} on {message.host}"))))),
    )


def _headline(message: Message, title: str) -> str:
    """The title, in which ``title`` replaces the application's name; before it where it is not there to be replaced."""
    told, name = line(message.title), line(message.application)
    if not title:
        return told or name or "dewy"
    begins_with_name = name and f"{told} ".startswith(f"{name} ")
    return f"{title}{told[len(name) :]}" if begins_with_name else f"{title}: {told}"


def _details(message: Message) -> str:
    """The text, and the error unless the text says it."""
    text, error = clean(message.text).strip(), clean(message.error).strip()
    return "\n".join(filter(None, (text, "" if line(error) in line(text) else error)))


def _colour(message: Message) -> str:
    if message.level == "error":
        return _RED
    if message.level == "warn":
        return _YELLOW
    return _GREEN if message.event in _GOOD_NEWS or message.event.endswith(".recovered") else _GREY


def _fields(message: Message, title: str) -> Iterator[tuple[str, str]]:
    """The facts, each with its name and its value in markup. The host is always there: Slack takes no empty list."""
    yield "Host", _short(message.host) or "unknown"
    if application := _short(title or message.application):
        yield "Application", application
    if message.version:
        yield "Version", _versions(message)
    if message.seconds is not None:
        yield "Took", format_duration(message.seconds)
    if message.hook:
        yield "Hook", code_span(shorten(clean(message.hook).strip(), _HOOK))
    if message.status is not None:
        yield "Exit status", str(message.status) if message.status >= 0 else f"killed by signal {-message.status}"


def _versions(message: Message) -> str:
    """``v1.3.9 → v1.4.0``, or the one version there is. An error has no arrow: nothing went from one to the other."""
    version, previous = (code_span(shorten(line(one), _FIELD)) for one in (message.version, message.previous_version))
    if message.previous_version in ("", message.version):
        return version
    return f"{version} (before: {previous})" if message.level == "error" else f"{previous} → {version}"


def _output(message: Message) -> Iterator[Block]:
    """What was printed: its end, as that is where the reason stands."""
    output = clean(message.output[-_MOST_CLEANED:]).strip("\n")
    if not output.strip():
        return
    shown = tail(output, _OUTPUT, _OUTPUT_LINES)
    given = len(message.output.encode("utf-8", "replace"))
    whole = shown == output and message.output_size <= given + _FEW
    extent = "" if whole else f" (the end of {max(given, message.output_size):,} bytes)"
    yield _section(f"*Output*{extent}\n{code_block(shown)}")


def _footer(message: Message) -> str:
    """When it happened, which may be a while before it could be posted, and from which registry."""
    at = f"{message.at:%Y-%m-%d %H:%M:%S} {message.at.tzname() or ''}".strip()
    return " · ".join(filter(None, (at, _short(message.registry))))


def _short(text: str) -> str:
    return escape(shorten(line(text), _FIELD))


def _section(text: str) -> Block:
    """Markup that is shown in full, not behind "see more"."""
    return {"type": "section", "expand": True, "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> Block:
    """Markup in which Slack looks for no names or addresses by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
