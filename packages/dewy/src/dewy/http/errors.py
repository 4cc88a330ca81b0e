"""What the HTTP client raises. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy.errors import DewyError

if TYPE_CHECKING:
    from dewy.http.response import Response

__all__ = ["HttpError", "RateLimited"]


class HttpError(DewyError):
    """A request got no answer, or one that is a failure.

    No part of its text is a secret that the client was given: not the URL's user or query, not a header.

    Args:
        message: As in :class:`DewyError`.
        hint: As in :class:`DewyError`.
        status: The answer's status; None when there was no answer.
        retry_after: Seconds after which the server wants to be asked again; None when it did not say.
        transient: Asking again later may help: no connection, a time-out, a cut, 408, 429, 5xx.
        sent: The server may have acted on the request; false when nothing of it left this host.
        response: The answer, where there was one; its content may be cut short.
    """

    def __init__(  # noqa: PLR0913 - facts, all named
        self,
        message: str,
        hint: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        transient: bool = False,
        sent: bool = True,
        response: Response | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.retry_after = retry_after
        self.transient = transient
        self.sent = sent
        self.response = response


class RateLimited(HttpError):
    """The server wants fewer requests. Until ``retry_after`` seconds have passed the client does not ask it again."""
