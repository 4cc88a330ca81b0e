"""No secret leaves dewy: every text that people or programs see goes through the one :class:`Redactor`.

Secrets are told to it by name (a URL's password, a token that a backend took from the environment); those that stand in
the environment under a name that says so, or as the password of a URL, are known from the start, because an application or
a hook may print them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from urllib.parse import quote, unquote

from dewy.urls import HIDDEN

__all__ = ["Redactor"]

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|PRIVATE_KEY|API_?KEY|CREDENTIAL", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#:\s]*:(?P<password>[^/?#\s]+)@")
# Shorter values are as likely to be a word of a sentence; a name in the environment is only a hint that it is a secret.
_SHORTEST_TOLD = 3
_SHORTEST_GUESSED = 8


class Redactor:
    """Replaces every secret it knows by ``***``. Safe to use from all threads."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for name, value in (environ or {}).items():
            if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_GUESSED and "/" not in value[:1]:
                self.add(value)
            for url in _PASSWORD_IN_URL.finditer(value):  # of a proxy, of a database
                self.add(url["password"], unquote(url["password"]))

    def add(self, *values: str) -> None:
        """From now on these are replaced, also in their percent-encoded form. Very short values are passed over.

        So are the lines of a value that has several, a private key say: output is told line by line.
        """
        told = {form for value in values if len(value) >= _SHORTEST_TOLD for form in (value, quote(value, safe=""))}
        told |= {line for value in values for line in _lines(value) if len(line) >= _SHORTEST_GUESSED}
        with self._lock:
            if told <= self._secrets:
                return
            self._secrets |= told
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """The text with every known secret replaced."""
        pattern = self._pattern
        return pattern.sub(HIDDEN, text) if pattern else text


def _lines(value: str) -> list[str]:
    lines = [line.strip() for line in value.splitlines()]
    return lines if len(lines) > 1 else []
