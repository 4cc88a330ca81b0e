"""The way to one database: connections that are lent to threads, checked, bounded, and never given back half-used."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as SilenceError

from dewy_cache_redis.bounds import left, within
from dewy_cache_redis.faults import Fault, Unusable, is_lost, is_read_only
from dewy_cache_redis.links import Link, SocketLink, TcpLink, ask, link_arguments
from dewy_cache_redis.sentinels import Sentinels
from dewy_cache_redis.target import Target

__all__ = ["Connections"]

T = TypeVar("T")

_PATIENCE = 9.0
"""Seconds for a call, all included."""
_AT_ONCE = 16
"""Connections that are lent at the same time; who comes then waits."""
_PONG = 2.0
"""Seconds in which an idle connection must show that it lives."""


class Connections:
    """Connects when first used; closes when nobody has it any more. Safe to use from all threads, and after a fork.

    Args:
        target: Where to, and as whom.
    """

    def __init__(self, target: Target) -> None:
        arguments: dict[str, Any] = link_arguments(target.account) | {"db": target.db}
        kind: type[TcpLink | SocketLink] = TcpLink
        if target.socket:
            kind, arguments["path"] = SocketLink, target.socket
        else:
            arguments["tls"] = target.tls
            arguments["host"], arguments["port"] = target.hosts[0]
        if target.service:
            arguments |= {"find": Sentinels(target).master, "redis_connect_func": _greet_master}
        self._pool = ConnectionPool(connection_class=kind, max_connections=_AT_ONCE, **arguments)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        # An exception's frames may hold a connection in a cycle. Left to the collector, its socket might go first, and warn.
        weakref.finalize(self, self._pool.disconnect).atexit = False

    def run(self, work: Callable[[Link], T], *, repeatable: bool) -> T:
        """Does some work on a connection that nobody else uses meanwhile, within nine seconds.

        If the connection breaks meanwhile, ``repeatable`` work is done once more on a new one. What was refused by a
        replica was not done: that is tried once more in any case, for the master may be another one now. Raises what
        redis-py and sockets raise.
        """
        with within(_PATIENCE), self._lent() as connection:
            try:
                return work(connection)
            except (LostError, ResponseError) as error:
                if not (is_read_only(error) or (repeatable and is_lost(error))):
                    raise
            connection.disconnect()
            connection.connect()
            return work(connection)

    @contextmanager
    def extra(self) -> Iterator[Link]:
        """A connection of one's own, beside those that are lent; closed in the end."""
        connection: Link = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            with within(_PATIENCE):
                connection.connect()
            yield connection
        finally:
            connection.disconnect()

    @contextmanager
    def _lent(self) -> Iterator[Link]:
        if not self._turns.acquire(timeout=left(_PATIENCE)):
            raise Unusable(
                Fault(f"all {_AT_ONCE} connections are in use", "The server answers too slowly; dewy tries again")
            )
        try:
            connection: Any = self._pool.get_connection()  # notices one that the server has closed, and makes it anew
            try:
                _try_out(connection)
                yield connection
            except ResponseError:
                raise  # an answer like any other
            except BaseException:
                connection.disconnect()  # what may still come over it would be taken for the next answer
                raise
            finally:
                self._pool.release(connection)
        finally:
            self._turns.release()


def _try_out(connection: Link) -> None:
    """Has a connection that was idle for long show that it lives; makes it anew if not. No command was given to it yet."""
    try:
        with within(_PONG):
            connection.check_health()
    except (LostError, SilenceError):
        connection.disconnect()
        connection.connect()


def _greet_master(connection: Link) -> None:
    """Logs in, and makes sure that it is the master: Sentinels may be behind, and a replica's values are old."""
    connection.on_connect()
    role = ask(connection, "ROLE")
    if not role or role[0] != b"master":
        raise Unusable(
            Fault("the server that the Sentinels name is not the master", "A fail-over may be going on; dewy tries again")
        )
