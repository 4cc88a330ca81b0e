"""The one polite HTTP client, for dewy's backends and for everybody's plugins. Importing it loads no HTTP library."""

from __future__ import annotations

from dewy.http.client import MAX_BYTES, HttpClient
from dewy.http.errors import HttpError, RateLimited
from dewy.http.headers import Headers
from dewy.http.politeness import Limits, Retries
from dewy.http.response import Response

__all__ = ["MAX_BYTES", "Headers", "HttpClient", "HttpError", "Limits", "RateLimited", "Response", "Retries"]
