"""From what an application printed to what a mail can show. Pure."""

from __future__ import annotations

import re

__all__ = ["clean", "end_of", "one_line"]

_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, moves of the cursor (ECMA-48, 5.4)
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # titles, links and other strings; one without its end ends with the line
    r"|\x1b[ -/]*[0-~]"
)
_LINE_END = re.compile("\r+\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f"  # controls but for tab and line feed
    "\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"  # what turns the direction of text: it makes one thing look like another
    "\ud800-\udfff\ufffe\uffff]"  # no characters: they cannot be encoded, or stand in no document
)
_CUT = "…"


def clean(text: str, most: int) -> str:
    """The text without escape sequences and control characters, line ends as line feeds, at most so many characters long."""
    cleaned = _cleaned(text[: 4 * most])
    return cleaned if len(cleaned) <= most else cleaned[: most - 1].rstrip() + _CUT


def one_line(text: str, most: int) -> str:
    """The text as :func:`clean` makes it, on one line."""
    line = " ".join(_cleaned(text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + _CUT


def end_of(text: str, most: int) -> tuple[str, bool]:
    """The end of a text, cleaned, from the start of a line where that is near; and whether something was left out."""
    tail = text[-4 * most :]
    cleaned = _cleaned(tail).strip("\n")
    if len(cleaned) > most:
        cleaned = cleaned[-most:]
        _, line_end, rest = cleaned.partition("\n")
        return (rest if line_end and len(rest) > most // 2 else cleaned), True
    return cleaned, len(tail) < len(text)


def _cleaned(text: str) -> str:
    return _UNSEEN.sub("", _LINE_END.sub("\n", _TERMINAL.sub("", text)))
