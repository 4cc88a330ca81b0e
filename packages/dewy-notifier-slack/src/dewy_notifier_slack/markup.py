"""Slack's markup, mrkdwn: a stranger's text as it is to be read, cut to a length, never understood as markup. Pure.

Sizes are characters as sent, after escaping: that is what Slack's limits count.
"""

from __future__ import annotations

import re

__all__ = ["clean", "code_block", "code_span", "escape", "line", "link", "shorten", "tail"]

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ESCAPED = str.maketrans(_ESCAPES)
_URL_ESCAPED = str.maketrans({"&": "&amp;", "<": "%3C", ">": "%3E", "|": "%7C", " ": "%20"})
_FENCE = "```"
_OMISSION = " … "

# ECMA-48: control sequences (colours, cursor), strings (titles, links), and the short escapes. A string without an end is
# no string: it would swallow what follows.
_TERMINAL = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]?")
# Control characters but tab and newline, halves of surrogate pairs, and what turns the direction of writing around.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """A text as a terminal would leave it: no escape sequences or control characters, rewritten lines as last written."""
    plain = _TERMINAL.sub("", text).replace("\r\n", "\n")
    if "\r" in plain:
        plain = "\n".join(written.rstrip("\r").rpartition("\r")[2] for written in plain.split("\n"))
    return _UNSEEN.sub("", plain)


def line(text: str) -> str:
    """A text made clean and one line."""
    return " ".join(clean(text).split())


def escape(text: str) -> str:
    """A text with the three characters of Slack's markup escaped: it mentions nobody and links nowhere."""
    return text.translate(_ESCAPED)


def link(url: str, text: str) -> str:
    """A link; both parts as they are, not yet escaped."""
    return f"<{url.translate(_URL_ESCAPED)}|{escape(text)}>"


def code_span(text: str) -> str:
    """A text as code within a line, or as a block where a line cannot hold it."""
    return f"`{escape(text)}`" if text and "`" not in text and "\n" not in text else code_block(text)


def code_block(text: str) -> str:
    """A text as a block of code, which nothing in it can end."""
    return f"{_FENCE}\n{escape(_without_fences(text))}\n{_FENCE}"


def _without_fences(text: str) -> str:
    """Two backticks are kept apart by a blank without width, so that three never stand together."""
    return text.replace("``", "`\u200b`")


def shorten(text: str, size: int) -> str:
    """A text of at most ``size`` characters once it is escaped; the middle is left out where it is longer."""
    if _size(text) <= size:
        return text
    room = size - len(_OMISSION)
    head = _fitting(text, room * 2 // 3)
    return f"{text[:head]}{_OMISSION}{_end(text, room - room * 2 // 3)}"


def tail(text: str, size: int, lines: int) -> str:
    """The end of a text: at most ``lines`` lines that, as a block of code, have at most ``size`` characters.

    It begins at the beginning of a line, unless the last line alone is too long.
    """
    room = size - len(code_block(""))
    last = "\n".join(text.rsplit("\n", lines)[-lines:])
    fitting = _end(last, room, fences=True)
    cut_inside = len(fitting) < len(last) and last[-len(fitting) - 1] != "\n"
    return fitting.partition("\n")[2] or fitting if cut_inside else fitting


def _size(text: str) -> int:
    return sum(map(_cost, text))


def _cost(character: str) -> int:
    return len(_ESCAPES.get(character, character))


def _fitting(text: str, size: int, *, fences: bool = False) -> int:
    """How many characters from the beginning fit into ``size`` once escaped."""
    for index, character in enumerate(text):
        size -= _cost(character) + (fences and character == "`")
        if size < 0:
            return index
    return len(text)


def _end(text: str, size: int, *, fences: bool = False) -> str:
    count = _fitting(text[::-1], size, fences=fences)
    return text[len(text) - count :]
