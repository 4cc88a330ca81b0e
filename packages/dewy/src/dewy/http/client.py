"""The one polite HTTP client (R30), for dewy's backends and for everybody's plugins."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from dewy.http.download import Download
from dewy.http.engine import Engine, Setup, refuse_failure
from dewy.http.errors import HttpError
from dewy.http.hops import first_hop
from dewy.http.politeness import Limits, Retries
from dewy.http.response import Response
from dewy.types import Stated

if TYPE_CHECKING:
    from dewy.http.wire import Exchange

__all__ = ["MAX_BYTES", "HttpClient"]

MAX_BYTES = 64 << 20
"""Bytes of an answer that is read into memory, unless the caller says otherwise."""

_MOST_PAGES = 1000
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


class HttpClient:
    """Asks politely, and gives up in time. May be used from several threads.

    Time-outs on every step and on each call as a whole; connections are kept and used again; failures that may pass are
    tried again with exponential back-off and full jitter; ``Retry-After`` and rate limits are obeyed: a short pause is
    waited for, with a longer one the call fails with :class:`RateLimited`, and until then the host is not asked again.

    Credentials go to the origin (scheme, host, port) of the URL they were given with and to no other, whatever redirects
    say. No error's text has the user or the query of a URL, or a header field.

    Proxies (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) and ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` come
    from the environment.

    Args:
        environ: The environment; the process's own when None.
        wait: Waits so many seconds. What it raises ends the call: so a call can be interrupted.
        monotonic: The clock for deadlines, in seconds.
        now: The time of day, aware of its zone, for servers that name a time and do not tell their own.
        uniform: Random, from 0 to 1: the jitter.
        limits: How long each step may take.
        retries: How often and when to try again.
    """

    def __init__(  # noqa: PLR0913 - what a test replaces, all named
        self,
        environ: Mapping[str, str] | None = None,
        *,
        wait: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        uniform: Callable[[], float] = random.random,
        limits: Limits | None = None,
        retries: Retries | None = None,
    ) -> None:
        self._limits, self._monotonic = limits or Limits(), monotonic
        environ = os.environ if environ is None else environ
        self._engine = Engine(Setup(environ, wait, monotonic, now, uniform, self._limits, retries or Retries()))

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        conditional: bool = True,
        max_bytes: int = MAX_BYTES,
        timeout: float | None = None,
    ) -> Response:
        """Reads a URL.

        Args:
            url: http or https. A user and password in it become basic authentication.
            headers: Header fields for whichever host answers.
            credentials: Header fields for the URL's own origin only: ``Authorization``, ``PRIVATE-TOKEN``, …
            conditional: Remember the answer, and ask only whether it has changed if it is remembered.
            max_bytes: Bytes the answer may have, decoded.
            timeout: Seconds for the whole call; the client's own limit when None.

        Returns:
            The answer, its status from 200 to 299.

        Raises:
            RateLimited: The host wants to be left alone for longer than is waited for.
            HttpError: There was no answer, or it is a failure; ``status`` says which.
        """
        return self.request(
            "GET",
            url,
            headers=headers,
            credentials=credentials,
            conditional=conditional,
            max_bytes=max_bytes,
            timeout=timeout,
        )

    def request(  # noqa: PLR0913 - all named
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        content: bytes | None = None,
        repeat: bool | None = None,
        conditional: bool = False,
        max_bytes: int = MAX_BYTES,
        timeout: float | None = None,
    ) -> Response:
        """Sends a request of any kind. As :meth:`get`, and:

        Args:
            method: ``POST``, ``PUT``, ``DELETE``, …
            url: As in :meth:`get`.
            headers: As in :meth:`get`.
            credentials: As in :meth:`get`.
            content: The body.
            repeat: May the request reach the server twice? None: as its method says (RFC 9110, 9.2.2), so not a POST. One
                that may not is tried again only when it certainly did not get there.
            conditional: As in :meth:`get`; for GET only.
            max_bytes: As in :meth:`get`.
            timeout: As in :meth:`get`.
        """
        method = method.upper()
        deadline = self._engine.deadline(timeout)
        hop = first_hop(method, url, headers or {}, credentials or {}, content)
        repeatable = method in _IDEMPOTENT if repeat is None else repeat
        return self._engine.persist(
            lambda: self._engine.read(hop, deadline, recall=conditional and method == "GET", max_bytes=max_bytes),
            may_repeat=lambda error: repeatable or not error.sent,
            left=deadline.left,
        )

    def pages(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        conditional: bool = True,
    ) -> Iterator[Response]:
        """Reads a URL and all that its ``Link: <…>; rel="next"`` leads to (RFC 8288), each as :meth:`get` does.

        Raises:
            HttpError: As :meth:`get`; or a page names a next one on another host, which is not followed, or there is no end.
        """
        first = first_hop("GET", url, headers or {}, credentials or {})
        seen: set[str] = set()
        following: str | None = url
        while following is not None:
            if following in seen or len(seen) == _MOST_PAGES:
                raise HttpError(f"the pages of {first.shown} have no end")
            seen.add(following)
            page = self.get(following, headers=first.headers, credentials=first.credentials, conditional=conditional)
            yield page
            following = page.links.get("next")
            if following is not None and first_hop("GET", following, {}, {}).origin != first.origin:
                raise HttpError(f"{page.shown} names a next page on another host: it is not followed")

    def download(
        self,
        url: str,
        to: BinaryIO,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> Stated:
        """Streams a file into ``to``, in pieces, as it is: no encoding is undone. A cut is resumed.

        There is no limit on the whole, but a download that hardly moves counts as cut.

        Args:
            url: As in :meth:`get`.
            to: Takes ``write`` only.
            headers: As in :meth:`get`.
            credentials: As in :meth:`get`.

        Returns:
            The size and the digests that the server states. They are not checked here, but that no byte is missing is.

        Raises:
            RateLimited: As in :meth:`get`.
            HttpError: As in :meth:`get`.
            ArtifactError: It broke off and cannot be resumed: the file changed, or the server does not tell files apart.
        """
        hop = first_hop("GET", url, headers or {}, credentials or {})

        @contextmanager
        def opened(extra: Mapping[str, str]) -> Iterator[Exchange]:
            deadline = self._engine.deadline()
            with self._engine.answer(hop, deadline, extra) as answer:
                if answer.exchange.status != 416 or "Range" not in extra:
                    refuse_failure(answer)
                deadline.lift()  # from here on what counts is that bytes come
                yield answer.exchange

        download = Download(opened, to, hop.shown, stall=self._limits.stall, monotonic=self._monotonic)
        return self._engine.persist(download.attempt, progressed=download.progressed)

    def close(self) -> None:
        """Closes all connections. The client cannot be used after it."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
