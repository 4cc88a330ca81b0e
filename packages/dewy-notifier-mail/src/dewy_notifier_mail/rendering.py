"""What a mail says: from a message to its subject, its plain text and its HTML. Pure.

Both parts say the same: each stands on its own. The first lines answer "what happened, where", since they are what a phone
shows of a mail that is not opened.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import UTC
from html import escape

from dewy.types import Level, Message
from dewy_notifier_mail.cleaning import clean, end_of, one_line

__all__ = ["Rendered", "render"]

_MOST_SUBJECT = 200
_MOST_LINE = 500
_MOST_TEXT = 4_000
_MOST_OUTPUT = 20_000
_FEW = 16  # bytes: line ends at its end are no output that somebody misses

# Readable on white and on black alike: mail programs turn colours round in dark mode, each in its own way.
_COLOURS: dict[Level, str] = {"debug": "#808080", "info": "#2e9e4f", "warn": "#d98200", "error": "#d93025"}
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:15px;line-height:1.45"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;line-height:1.4"
_LABEL = "text-align:left;vertical-align:top;font-weight:normal;opacity:.7;white-space:nowrap;padding:2px 16px 2px 0"
_WRAPPED = "white-space:pre-wrap;overflow-wrap:anywhere"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a mail says.

    Attributes:
        subject: One line.
        plain: Plain text; lines end with a line feed.
        html: The same as a whole HTML document, without anything that is loaded from elsewhere.
    """

    subject: str
    plain: str
    html: str


@dataclass(frozen=True, slots=True)
class _Content:
    """What both parts say, cleaned."""

    title: str
    text: str
    facts: tuple[tuple[str, str], ...]
    heading: str
    output: str


def render(message: Message, prefix: str) -> Rendered:
    """What the mail for a message says.

    Args:
        message: Anything may stand in its texts.
        prefix: What the subject starts with, or empty.
    """
    content = _content(message)
    subject = f"{prefix}: {message.title}" if prefix else message.title
    return Rendered(
        # "=?" would start an encoded word, which mail programs replace by what it stands for
        subject=one_line(subject, _MOST_SUBJECT).replace("=?", "= ?"),
        plain=_plain(content),
        html=_html(content, _COLOURS[message.level]),
    )


# --------------------------------------------------------------------------------------------------------- what is said


def _content(message: Message) -> _Content:
    output, cut = end_of(message.output, _MOST_OUTPUT)
    title = one_line(message.title, _MOST_LINE)
    text = clean(message.text, _MOST_TEXT).strip()
    return _Content(
        title=title,
        text="" if text == title else text,
        facts=tuple((label, value) for label, value in _facts(message) if value),
        heading=_heading(message, cut) if output else "",
        output=output,
    )


def _facts(message: Message) -> tuple[tuple[str, str], ...]:
    return (
        ("Application", one_line(message.application, _MOST_LINE)),
        ("Host", one_line(message.host, _MOST_LINE)),
        ("Version", one_line(message.version, _MOST_LINE)),
        ("Version before", one_line(message.previous_version, _MOST_LINE)),
        ("Error", _error(message)),
        ("Hook", clean(message.hook, _MOST_TEXT).strip()),
        ("Exit status", _status(message.status)),
        ("Took", _duration(message.seconds)),
        ("When", message.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Registry", one_line(message.registry, _MOST_LINE)),
        ("Event", f"{one_line(message.event, _MOST_LINE)} ({message.level})"),
    )


def _error(message: Message) -> str:
    """What went wrong, unless the text says it."""
    error = clean(message.error, _MOST_TEXT).strip()
    said = " ".join(clean(message.text, _MOST_TEXT).split())
    return "" if " ".join(error.split()) in said else error


def _status(status: int | None) -> str:
    if status is None:
        return ""
    if status >= 0:
        return str(status)
    try:
        name = f" ({signal.Signals(-status).name})"
    except ValueError:  # a real-time signal, which has no name
        name = ""
    return f"ended by signal {-status}{name}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def _heading(message: Message, cut: bool) -> str:
    arrived = len(message.output.encode(errors="replace"))
    if not cut and message.output_size <= arrived + _FEW:
        return "Output"
    return f"Output, its end ({max(message.output_size, arrived):,} bytes in all)"


# --------------------------------------------------------------------------------------------------------- how it looks


def _plain(content: _Content) -> str:
    width = max(len(label) for label, _ in content.facts) + 1
    indent = "\n" + " " * (width + 1)
    facts = (f"{label + ':':<{width}} {value.replace(chr(10), indent)}" for label, value in content.facts)
    blocks = [content.title, content.text, "\n".join(facts)]
    if content.output:
        blocks.append(f"{content.heading}:\n\n{content.output}")
    return "\n\n".join(filter(None, blocks)) + "\n"


def _html(content: _Content, colour: str) -> str:
    rows = "".join(_row(label, value) for label, value in content.facts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="supported-color-schemes" content="light dark">\n'
        f"<title>{escape(content.title)}</title>\n</head>\n"
        f'<body style="{_FONT};margin:0;padding:16px">\n'
        f'<div style="border-left:4px solid {colour};padding-left:16px">\n'
        f'<h1 style="font-size:18px;margin:0 0 12px;{_WRAPPED}">{escape(content.title)}</h1>\n'
        f"{_paragraph(content.text)}"
        f'<table role="presentation" style="border-collapse:collapse;font-size:14px">\n{rows}</table>\n'
        f"{_output(content)}</div>\n</body>\n</html>\n"
    )


def _paragraph(text: str) -> str:
    return f'<p style="margin:0 0 16px;{_WRAPPED}">{escape(text)}</p>\n' if text else ""


def _row(label: str, value: str) -> str:
    return (
        f'<tr><th scope="row" style="{_LABEL}">{escape(label)}</th>'
        f'<td style="vertical-align:top;padding:2px 0;{_WRAPPED}">{escape(value)}</td></tr>\n'
    )


def _output(content: _Content) -> str:
    if not content.output:
        return ""
    # a parser takes away the line end that directly follows <pre> (HTML, 13.1.2.5)
    return (
        f'<p style="margin:16px 0 4px;opacity:.7">{escape(content.heading)}</p>\n'
        f'<pre style="{_MONO};margin:0;padding:8px 12px;border:1px solid #808080;{_WRAPPED}">\n'
        f"{escape(content.output)}</pre>\n"
    )
