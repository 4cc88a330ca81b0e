"""What dewy lends to a backend, in a test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dewy.context import PluginContext
from dewy.redaction import Redactor

if TYPE_CHECKING:
    from dewy.http import HttpClient

__all__ = ["TestContext"]

_LONGEST_WAIT = 0.05


class TestContext(PluginContext):
    """A :class:`dewy.types.Context` with an environment of its own, which remembers what it was told to keep secret.

    Args:
        directory: The cache directory lies in it; a ``tmp_path``, say.
        environ: The environment that the backend sees; empty by default.
    """

    __test__ = False

    def __init__(self, directory: Path, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(dict(environ or {}), directory / "cache", Redactor())
        self.secrets: list[str] = []
        """What :meth:`secret` was given, in order."""

    @cached_property
    def http(self) -> HttpClient:
        """The HTTP client, which sees the test's environment only, and waits a moment where dewy waits for seconds."""
        from dewy.http import HttpClient

        return HttpClient(self.environ, wait=lambda seconds: time.sleep(min(seconds, _LONGEST_WAIT)))

    def secret(self, value: str) -> str:
        """Remembers a secret; returns it."""
        self.secrets.append(value)
        return super().secret(value)
