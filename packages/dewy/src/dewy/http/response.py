"""An answer, read in full. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from dewy.http.errors import HttpError
from dewy.http.headers import Headers, links

__all__ = ["Response"]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read in full.

    Attributes:
        url: Where it came from, after redirects, without user and fragment. Its query may be a secret: show ``shown``.
        shown: The URL as error texts may show it.
        status: 200 for one that is remembered and has not changed.
        headers: By name, whatever its case.
        content: The body, decoded and bounded.
        not_modified: The server said that nothing has changed (304); the content is the remembered one.
    """

    url: str = field(repr=False)
    shown: str
    status: int
    headers: Headers
    content: bytes = field(repr=False)
    not_modified: bool = False

    @property
    def text(self) -> str:
        """The content as UTF-8; what cannot be read is replaced."""
        return self.content.decode("utf-8", "replace")

    @property
    def links(self) -> dict[str, str]:
        """Absolute URLs of the ``Link`` field by relation (RFC 8288).

        They may lead to another host: to read all pages with credentials, use :meth:`HttpClient.pages`.
        """
        return links(self.headers, self.url)

    def json(self) -> Any:
        """The content as JSON. Raises HttpError when it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise HttpError(
                f"{self.shown} is not the JSON it should be: {type(error).__name__} in {len(self.content)} bytes",
                "Is the URL right, and does no login page or proxy answer in its place?",
                status=self.status,
                response=self,
            ) from None
