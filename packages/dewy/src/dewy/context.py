"""What dewy lends to backends when it opens them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dewy.redaction import Redactor

if TYPE_CHECKING:
    from dewy.http import HttpClient

__all__ = ["PluginContext"]


class PluginContext:
    """The :class:`dewy.types.Context` of a running dewy."""

    def __init__(
        self,
        environ: Mapping[str, str],
        cache_directory: Path,
        redactor: Redactor,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.environ = environ
        self.cache_directory = cache_directory
        self._redactor, self._wait = redactor, wait

    @cached_property
    def http(self) -> HttpClient:
        """The polite HTTP client, made when the first backend asks for it."""
        from dewy.http import HttpClient

        return HttpClient(self.environ, wait=self._wait)

    def secret(self, value: str) -> str:
        """Has a value replaced in every text that leaves dewy; returns it."""
        self._redactor.add(value)
        return value

    def redact(self, text: str) -> str:
        """The text with every secret replaced that is known by now: for what is cut before it is said."""
        return self._redactor(text)

    def close(self) -> None:
        """Closes the HTTP client, if one was made."""
        if "http" in self.__dict__:
            self.http.close()
