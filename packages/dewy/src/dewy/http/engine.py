"""How a call is made: redirects followed, failures told, pauses kept, tries repeated. The client is its public face."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from dewy.durations import format_duration
from dewy.http.body import ACCEPTED, read_body
from dewy.http.errors import HttpError, RateLimited
from dewy.http.hops import REDIRECTS, Hop, redirected
from dewy.http.memory import Memory, Remembered
from dewy.http.politeness import Limits, Pauses, Retries, asked_pause
from dewy.http.response import Response
from dewy.http.sentences import refusal

if TYPE_CHECKING:
    from dewy.http.network import Deadline
    from dewy.http.wire import Exchange, Wire

__all__ = ["Answer", "Engine", "Setup"]

T = TypeVar("T")

_MOST_REDIRECTS = 8
_MOST_OF_A_REFUSAL = 1 << 16
_PERMANENT_FAILURES = frozenset({501, 505, 511})
_FEWER_CALLS = "Poll less often, or give credentials with a higher limit"


@dataclass(frozen=True, slots=True)
class Setup:
    """What an engine works with; see :class:`dewy.http.HttpClient` for each."""

    environ: Mapping[str, str]
    wait: Callable[[float], None]
    monotonic: Callable[[], float]
    now: Callable[[], datetime]
    uniform: Callable[[], float]
    limits: Limits
    retries: Retries


@dataclass(frozen=True, slots=True)
class Answer:
    """Where redirects have led.

    Attributes:
        hop: The last request.
        exchange: Its answer.
        remembered: What is remembered of it.
        pause: Seconds for which the host asked not to be called; None when it did not.
    """

    hop: Hop
    exchange: Exchange
    remembered: Remembered | None
    pause: float | None


class Engine:
    """Makes calls. Nothing of the network is imported or opened before the first."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._memory = Memory()
        self._pauses = Pauses(setup.monotonic)
        self._lock = threading.Lock()
        self._lazy_wire: Wire | None = None
        self._closed = False

    def close(self) -> None:
        """Closes all connections, for good."""
        with self._lock:
            self._closed = True
            if self._lazy_wire is not None:
                self._lazy_wire.close()

    def deadline(self, seconds: float | None = None) -> Deadline:
        """So many seconds from now; by default the limit of a call."""
        from dewy.http.network import Deadline

        return Deadline(self._setup.limits.total if seconds is None else seconds, self._setup.monotonic)

    def persist(
        self,
        once: Callable[[], T],
        *,
        may_repeat: Callable[[HttpError], bool] = lambda _error: True,
        left: Callable[[], float] = lambda: float("inf"),
        progressed: Callable[[], bool] = lambda: False,
    ) -> T:
        """Tries until it is done, or until trying again makes no sense.

        Args:
            once: One try. Raises HttpError.
            may_repeat: Whether it may be done again after such an error.
            left: Seconds for all that is still to come.
            progressed: Whether the last try got somewhere: then it does not count.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return once()
            except HttpError as error:
                if progressed():
                    attempt = 1
                pause = self._setup.retries.pause(attempt, error, self._setup.uniform())
                if pause is None or pause >= left() or not may_repeat(error):
                    raise
            self._setup.wait(pause)

    def read(self, hop: Hop, deadline: Deadline, *, recall: bool, max_bytes: int) -> Response:
        """One try at an answer that is read in full. Raises HttpError."""
        with self.answer(hop, deadline, {"Accept-Encoding": ACCEPTED}, recall=recall) as answer:
            if answer.exchange.status == 304 and answer.remembered is not None:
                answer.exchange.drain()
                return answer.remembered.renewed(answer.hop, answer.exchange.headers)
            refuse_failure(answer)
            response = _read_response(answer, max_bytes)
            if recall:
                self._memory.keep(answer.hop, response)
            return response

    @contextmanager
    def answer(self, hop: Hop, deadline: Deadline, extra: Mapping[str, str], *, recall: bool = False) -> Iterator[Answer]:
        """Sends the request and follows redirects, up to an answer that is none, of whatever status.

        Args:
            hop: The request.
            deadline: For all of it.
            extra: More header fields; the caller's own take precedence.
            recall: Ask only whether it has changed, where it is remembered.

        Raises:
            HttpError: There was no answer, or a redirect leads where none may.
        """
        wire = self._wire()
        extra = {"User-Agent": _user_agent(), "Accept": "*/*"} | dict(extra)
        for _ in range(_MOST_REDIRECTS + 1):
            self._refuse_paused(hop)
            remembered = self._memory.recall(hop) if recall else None
            conditions = remembered.conditions if remembered else {}
            with wire.exchange(hop, _without(extra | conditions, hop.headers), deadline) as exchange:
                pause = asked_pause(exchange.status, exchange.headers, self._setup.now())
                if pause is not None:
                    self._pauses.begin((hop.origin, hop.identity), pause)
                location = exchange.headers.get("location")
                if exchange.status not in REDIRECTS or not location:
                    yield Answer(hop, exchange, remembered, pause)
                    return
                exchange.drain()
            hop = redirected(hop, exchange.status, location)
        raise HttpError(f"{hop.shown} is where more than {_MOST_REDIRECTS} redirects have led: they have no end")

    def _wire(self) -> Wire:
        from dewy.http.wire import Wire

        with self._lock:
            if self._closed:
                raise HttpError("the HTTP client is closed", sent=False)
            if self._lazy_wire is None:
                self._lazy_wire = Wire(self._setup.environ, self._setup.limits)
            return self._lazy_wire

    def _refuse_paused(self, hop: Hop) -> None:
        left = self._pauses.left((hop.origin, hop.identity))
        if left > 0:
            raise RateLimited(
                f"{hop.host} is not asked: it wants to be left alone for another {format_duration(left)}",
                _FEWER_CALLS,
                retry_after=left,
                transient=True,
                sent=False,
            )


def refuse_failure(answer: Answer) -> None:
    """Raises HttpError for an answer that is a failure, RateLimited for one that wants fewer calls."""
    status, hop, pause = answer.exchange.status, answer.hop, answer.pause
    if 200 <= status < 300:
        return
    response = _read_refusal(answer)
    if status == 429 or (status in {403, 503} and pause is not None):
        time = f" for {format_duration(pause)}" if pause is not None else ""
        raise RateLimited(
            f"{hop.host} wants to be left alone{time}: it answered {status} to {hop.method} {hop.shown}",
            _FEWER_CALLS,
            status=status,
            retry_after=pause,
            transient=True,
            response=response,
        )
    message, hint = refusal(hop.host, hop.method, response, authorised=bool(hop.credentials))
    transient = status == 408 or (status >= 500 and status not in _PERMANENT_FAILURES)
    retry_after = pause if transient else None
    raise HttpError(message, hint, status=status, retry_after=retry_after, transient=transient, response=response)


def _read_response(answer: Answer, max_bytes: int) -> Response:
    hop, exchange = answer.hop, answer.exchange
    encoding = exchange.headers.get("content-encoding", "")
    content = read_body(exchange.pieces(), encoding, max_bytes, hop.shown)
    return Response(hop.url, hop.shown, exchange.status, exchange.headers, content)


def _read_refusal(answer: Answer) -> Response:
    """The answer, for the error that will carry it. Its status is what matters; its body may be missing."""
    try:
        return _read_response(answer, _MOST_OF_A_REFUSAL)
    except HttpError:
        hop, exchange = answer.hop, answer.exchange
        return Response(hop.url, hop.shown, exchange.status, exchange.headers, b"")


def _without(fields: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    names = {name.lower() for name in present}
    return {name: value for name, value in fields.items() if name.lower() not in names}


@cache
def _user_agent() -> str:
    from dewy import __version__

    return f"dewy/{__version__}"
