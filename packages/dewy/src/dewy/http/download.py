"""A download that goes on where it broke off.

What is written cannot be taken back, so it never mixes two versions of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, Protocol

from dewy.durations import format_duration
from dewy.errors import ArtifactError
from dewy.http.errors import HttpError
from dewy.http.headers import Headers, content_range, strong_validator
from dewy.http.stated import digests
from dewy.types import Stated

if TYPE_CHECKING:
    from dewy.http.wire import Exchange

__all__ = ["Download"]

_PROGRESS = 1 << 20
"""Bytes after which a cut counts as the first again: a long download over a bad line must be able to end."""

_CRAWL = 64
"""Bytes a second, over the whole stall time, below which a download counts as cut."""

_FROM_THE_START = "It is tried again from the start"


class Open(Protocol):
    """Asks for the file with these header fields; statuses of 400 and above, but for 416, are raised."""

    def __call__(self, extra: Mapping[str, str], /) -> AbstractContextManager[Exchange]: ...


class Download:
    """One file on its way.

    Args:
        open_: Asks for the file.
        to: Takes its bytes.
        shown: The URL as error texts may show it.
        stall: Seconds in which something must come.
        monotonic: The clock, in seconds.
    """

    def __init__(self, open_: Open, to: BinaryIO, shown: str, *, stall: float, monotonic: Callable[[], float]) -> None:
        self._open, self._to, self._shown = open_, to, shown
        self._stall, self._monotonic = stall, monotonic
        self._position = 0
        self._begun_at = 0
        self._size: int | None = None
        self._digests: tuple[str, ...] = ()
        self._validator: str | None = None

    def progressed(self) -> bool:
        """Whether the last attempt got a good piece further."""
        return self._position - self._begun_at >= _PROGRESS

    def attempt(self) -> Stated:
        """Downloads what is missing.

        Raises:
            HttpError: It broke off; it goes on with the next attempt if the error is transient.
            ArtifactError: It cannot go on: the file changed, or the server cannot resume.
        """
        self._begun_at = self._position
        try:
            with self._open(self._request()) as exchange:
                if not self._is_complete(exchange):
                    skip = self._begin(exchange) if self._position == 0 else self._resume(exchange)
                    self._take(exchange, skip)
        except HttpError as error:
            if self._position > 0 and self._validator is None:
                raise ArtifactError(
                    f"{error.message}; it cannot be resumed after {self._position} bytes, for the server does not say "
                    "by what to know the file again",
                    f"{_FROM_THE_START}; a server that sends a strong ETag can resume",
                ) from error
            raise
        return Stated(self._size, self._digests)

    def _request(self) -> dict[str, str]:
        fields = {"Accept-Encoding": "identity"}
        if self._position > 0 and self._validator is not None:
            fields |= {"Range": f"bytes={self._position}-", "If-Range": self._validator}
        return fields

    def _is_complete(self, exchange: Exchange) -> bool:
        """Whether the cut came right at the end: nothing is left to ask for."""
        if exchange.status != 416:
            return False
        _, size = content_range(exchange.headers)
        if size != self._position or not self._is_same(exchange.headers):
            raise self._changed()
        self._size = size
        return True

    def _begin(self, exchange: Exchange) -> int:
        if exchange.status != 200:
            raise HttpError(
                f"{self._shown} answered {exchange.status} where the whole file was asked for", status=exchange.status
            )
        self._size = exchange.length
        self._digests = digests(exchange.headers, whole=True)
        self._validator = strong_validator(exchange.headers)
        return 0

    def _resume(self, exchange: Exchange) -> int:
        """Checks that this is the rest of the same file; how many bytes of the answer are there already."""
        if exchange.status == 200:
            # All of it again: the server does not do ranges, or it is another file now. Only the first can go on.
            if strong_validator(exchange.headers) != self._validator or exchange.length != self._size:
                raise self._changed()
            return self._position
        start, size = content_range(exchange.headers)
        if exchange.status != 206 or start != self._position:
            raise ArtifactError(
                f"{self._shown} broke off after {self._position} bytes, and the server answered {exchange.status} "
                "with another part than the one that is missing",
                _FROM_THE_START,
            )
        if not self._is_same(exchange.headers) or (size is not None and self._size is not None and size != self._size):
            raise self._changed()
        self._size = size if self._size is None else self._size
        return 0

    def _is_same(self, headers: Headers) -> bool:
        """An answer to ``If-Range`` repeats the validator; one that does not is taken at its word."""
        repeated = headers.get("etag" if (self._validator or "").startswith('"') else "last-modified")
        return repeated is None or repeated.strip() == self._validator

    def _changed(self) -> ArtifactError:
        return ArtifactError(
            f"{self._shown} changed while it was downloaded: after a cut at {self._position} bytes it is another file",
            _FROM_THE_START,
        )

    def _take(self, exchange: Exchange, skip: int) -> None:
        for piece in self._moving(exchange.pieces()):
            fresh = piece[skip:]
            skip -= len(piece) - len(fresh)
            if self._size is not None and self._position + len(fresh) > self._size:
                raise ArtifactError(f"{self._shown} sends more than the {self._size} bytes that it states")
            self._to.write(fresh)
            self._position += len(fresh)
        if self._size is not None and self._position < self._size:
            raise HttpError(f"{self._shown} broke off after {self._position} of {self._size} bytes", transient=True)

    def _moving(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces, as long as they come faster than a crawl."""
        since, came = self._monotonic(), 0
        for piece in pieces:
            came += len(piece)
            if self._monotonic() - since >= self._stall:
                if came < _CRAWL * self._stall:
                    raise HttpError(
                        f"{self._shown} sent no more than {came} bytes in {format_duration(self._stall)}", transient=True
                    )
                since, came = self._monotonic(), 0
            yield piece
