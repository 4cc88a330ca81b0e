"""What a hook prints: its lines are told as they come, within bounds, and its end is kept. Pure.

No secret gets out because a text was cut in the midst of it: what may be the half of one is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["LEFT_OUT", "MOST_LINE", "MOST_LINES", "MOST_OUTPUT", "MOST_TOLD", "HookOutput"]

MOST_OUTPUT = 64 * 1024
"""Bytes of a hook's output that are kept: the end of it."""
MOST_LINE = 1000
"""Characters of a line that are told."""
MOST_LINES = 500
"""Lines that are told of one run: half of what a consumer of events may be behind, so that none pushes out another event."""
MOST_TOLD = 64 * 1024
"""Characters that are told of one run, line by line."""
LEFT_OUT = "[more output is left out here; its end follows when the hook has ended]"

_LONGEST_SECRET = 16 * 1024
"""Bytes that a secret may have to be known as one where output is cut."""
_MOST_RAW = _LONGEST_SECRET + 4 * MOST_LINE
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""Control sequences of terminals, ECMA-48 5.4."""


class HookOutput:
    """Takes a hook's output in pieces.

    Args:
        redact: Replaces every secret in a text.
        tell: Is given each line, without its end, as soon as it is whole.

    Attributes:
        size: Bytes that came in all.
    """

    def __init__(self, redact: Callable[[str], str], tell: Callable[[str], None]) -> None:
        self._redact = redact
        self._lines = _Lines(redact, tell)
        self._kept = bytearray()
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Takes what came."""
        self.size += len(piece)
        self._kept += piece
        if len(self._kept) > 2 * (MOST_OUTPUT + _LONGEST_SECRET):
            del self._kept[: -(MOST_OUTPUT + _LONGEST_SECRET)]
        self._lines.add(piece)

    def end(self) -> str:
        """Nothing more comes: tells a last line that was not ended; the end of all that came."""
        self._lines.finish()
        text = self._end()
        shown = text[-MOST_OUTPUT:].decode("utf-8", "ignore").rstrip("\n")
        whole = self.size == len(self._kept) and len(text) <= MOST_OUTPUT
        return shown if whole else f"[the end of {self.size} bytes]\n{shown}"

    def _end(self) -> bytes:
        """What was kept, without secrets, and without what may be the half of one at its beginning."""
        kept = bytes(self._kept)
        if self.size == len(kept):
            return self._readable(kept)
        begun, _, rest = kept.partition(b"\n")
        if len(begun) < _LONGEST_SECRET:
            return self._readable(rest)  # the lines of a secret that has several are secrets themselves
        return self._readable(kept)[_LONGEST_SECRET:]

    def _readable(self, raw: bytes) -> bytes:
        return self._redact(raw.decode("utf-8", "replace")).encode()


class _Lines:
    """Puts lines together from pieces and tells them, until there were too many."""

    def __init__(self, redact: Callable[[str], str], tell: Callable[[str], None]) -> None:
        self._redact, self._tell = redact, tell
        self._line = bytearray()
        self._cut = False
        self._lines_left, self._left = MOST_LINES, MOST_TOLD

    def add(self, piece: bytes) -> None:
        # no more splits than lines that are told: a flood costs no more than reading it
        *whole, rest = piece.split(b"\n", self._lines_left) if self._lines_left else [b""]
        for part in whole:
            self._take(part)
            self.end()
        if self._lines_left:
            self._take(rest)

    def _take(self, part: bytes) -> None:
        room = _MOST_RAW - len(self._line)
        self._line += part[:room]
        self._cut = self._cut or len(part) > room

    def end(self) -> None:
        """The line is whole."""
        line, self._line, cut, self._cut = bytes(self._line), bytearray(), self._cut, False
        if not self._lines_left:
            return
        text = self._readable(line, cut=cut)
        self._lines_left -= 1
        self._left -= len(text)
        if not self._lines_left or self._left < 0:
            self._lines_left = 0
            text = LEFT_OUT
        if text:
            self._tell(text)

    def finish(self) -> None:
        """Nothing more comes."""
        if self._line:
            self.end()

    def _readable(self, line: bytes, *, cut: bool) -> str:
        """The line without secrets, colours and what a terminal or a log would take for more than text."""
        text = self._redact(line.decode("utf-8", "replace").removesuffix("\r"))
        text = self._redact(_COLOURS.sub("", text)).expandtabs()
        if cut:
            text = text[:-_LONGEST_SECRET]  # which may end with the half of a secret
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: MOST_LINE + 1])
        return f"{text[:MOST_LINE]} …" if cut or len(text) > MOST_LINE else text
