"""One HTTP request to the agent and its whole answer, within a deadline.

It stands on :mod:`http.client`, with connections of our own: httpx and httpcore bound each read and not their sum, so that
an agent that drips would hold a caller for ever.
"""

from __future__ import annotations

import http.client
import os
import re
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from dewy.errors import CacheError
from dewy.urls import HIDDEN
from dewy_cache_consul.agent import TOKEN, Agent
from dewy_cache_consul.faults import Fault, fault_of
from dewy_cache_consul.lines import Deadline, Line, connect
from dewy_cache_consul.trust import Stamp, Trust

__all__ = ["Answer", "Client", "Request"]

_MOST_BYTES = 64 * 1024 * 1024
"""That an answer may have: far more than any value or any list of keys that dewy makes."""
_MOST_IDLE = 8
_INDEX = re.compile(r"[0-9]{1,20}\Z")
_BROKEN = (ConnectionError, http.client.HTTPException)
"""What a connection raises that broke, perhaps because it was idle for too long. A time-out is not among them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent said.

    Attributes:
        status: Of HTTP.
        body: All of it.
        index: ``X-Consul-Index``; None when there is none, as from a stranger.
        filtered: Whether it lacks what the token may not read. Agents before 1.11 do not say so, and none does to who has no
            token.
    """

    status: int
    body: bytes
    index: int | None
    filtered: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent is asked.

    Attributes:
        doing: What for, as error texts say it: ``reading``.
        method: Of HTTP.
        path: From ``/v1`` on; percent-encoded.
        query: Its parameters; datacenter and namespace are added.
        body: Bytes to send.
        repeatable: Sent once more, on a new connection, if this one breaks meanwhile.
    """

    doing: str
    method: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class _Idle:
    line: Line
    stamp: Stamp


class Client:
    """Asks one agent. Connects when first used; safe to use from all threads, and after a fork.

    Args:
        agent: Which, and as whom.
        secret: Is told every token, so that no text shows it.
    """

    def __init__(self, agent: Agent, secret: Callable[[str], str]) -> None:
        self.agent = agent
        self._secret = secret
        self._trust = Trust(agent.tls) if agent.tls else None
        self._idle: list[_Idle] = []
        self._lock = threading.Lock()
        self._last_token = agent.token
        self._process = os.getpid()
        weakref.finalize(self, _close, self._idle)
        if agent.token:
            secret(agent.token)

    def ask(self, request: Request, deadline: Deadline) -> Answer:
        """Sends a request; the answer, whatever its status.

        Args:
            request: What is asked.
            deadline: For all of it, connecting included.

        Raises:
            CacheError: There is no whole answer. What was asked may have been done.
        """
        token = self._token()
        try:
            return self._ask(request, token, deadline)
        except (OSError, http.client.HTTPException) as error:
            fault = fault_of(error)
            unknown = "" if request.repeatable else "; it may have been done or not"
            raise self.failure(request.doing, Fault(f"{fault.reason}{unknown}", fault.hint)) from error

    def failure(self, doing: str, fault: Fault) -> CacheError:
        """The error for people. Nothing that an answer echoes of the token is in it."""
        reason = fault.reason
        if self._last_token:
            reason = reason.replace(self._last_token, HIDDEN)
        return CacheError(f"{doing} in {self.agent} failed: {reason}", fault.hint)

    # ------------------------------------------------------------------------------------------------------ one request

    def _ask(self, request: Request, token: str, deadline: Deadline) -> Answer:
        stamp = self._trust.stamp() if self._trust else ()
        idle = self._take(stamp, deadline) or _Idle(self._connect(deadline), stamp)
        try:
            return self._exchange(idle, request, token)
        except _BROKEN:
            if not request.repeatable:
                raise
        return self._exchange(_Idle(self._connect(deadline), stamp), request, token)

    def _connect(self, deadline: Deadline) -> Line:
        return connect(self.agent, self._trust.context() if self._trust else None, deadline)

    def _exchange(self, idle: _Idle, request: Request, token: str) -> Answer:
        headers = {"Host": self.agent.authority, "User-Agent": "dewy"}
        if token:
            headers["X-Consul-Token"] = token
        connection = http.client.HTTPConnection(self.agent.host or "localhost")
        connection.auto_open = 0  # what breaks is not mended behind our back
        connection.sock = sock = cast(Any, idle.line)  # it has all that is used of a socket
        try:
            connection.request(request.method, self._target(request), request.body, headers)
            # not by getresponse: it closes the socket of an answer that is the last one before that was read
            response = http.client.HTTPResponse(sock, method=request.method)
            response.begin()
            body = _whole(response)
        except BaseException:
            idle.line.close()
            raise
        if response.will_close:
            idle.line.close()
        else:
            self._give_back(idle)
        index = response.getheader("X-Consul-Index") or ""
        filtered = response.getheader("X-Consul-Results-Filtered-By-ACLs") == "true"
        return Answer(response.status, body, int(index) if _INDEX.match(index) else None, filtered)

    def _target(self, request: Request) -> str:
        place = {name: value for name, value in (("dc", self.agent.datacenter), ("ns", self.agent.namespace)) if value}
        return f"{self.agent.base}{request.path}?{urlencode({**request.query, **place})}"

    # -------------------------------------------------------------------------------------------------- idle connections

    def _take(self, stamp: Stamp, deadline: Deadline) -> _Idle | None:
        """An idle connection that still stands and was made with the same certificates; None if there is none."""
        while one := self._pop():
            if one.stamp == stamp and not one.line.has_something():
                one.line.deadline = deadline
                return one
            one.line.close()
        return None

    def _pop(self) -> _Idle | None:
        with self._lock:
            if self._process != os.getpid():  # after a fork they are the parent's; closing our copies does it no harm
                self._process = os.getpid()
                _close(self._idle)
            return self._idle.pop() if self._idle else None

    def _give_back(self, idle: _Idle) -> None:
        with self._lock:
            if self._process == os.getpid() and len(self._idle) < _MOST_IDLE:
                self._idle.append(idle)
                return
        idle.line.close()

    # ------------------------------------------------------------------------------------------------------------- token

    def _token(self) -> str:
        """The ACL token; one in a file is read anew each time, for it may have been renewed."""
        if not self.agent.token_file:
            return self.agent.token
        name = self.agent.token_file
        hint = "CONSUL_HTTP_TOKEN_FILE takes a file that dewy may read, with an ACL token in it"
        try:
            token = Path(name).read_text("ascii").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise CacheError(f"the ACL token in {name} cannot be read: {reason}", hint) from None
        if not TOKEN.match(token):
            raise CacheError(f"the ACL token in {name} cannot be used: it is no single word", hint)
        self._last_token = self._secret(token)
        return token


def _close(idle: list[_Idle]) -> None:
    while idle:
        idle.pop().line.close()


def _whole(response: http.client.HTTPResponse) -> bytes:
    """The body. Raises HTTPException for one that ended early, is too large, or whose end cannot be told."""
    stated = response.length
    # An agent with TLS that is asked in the clear says so and hangs up; a 404 may mean "there is no value".
    refused = response.status >= 400 and response.status != 404
    if stated is None and not response.chunked and not refused:
        raise http.client.UnknownTransferEncoding("the answer's end cannot be told")
    body = response.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise http.client.HTTPException("the answer is far too large")
    if stated is not None and len(body) < stated:
        raise http.client.IncompleteRead(body, stated - len(body))
    return body
