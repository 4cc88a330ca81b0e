"""Redis and Valkey as a store of small values."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from redis.exceptions import ConnectionError as LostError

from dewy.errors import CacheError, DewyError
from dewy_cache_redis.bounds import within
from dewy_cache_redis.connection import Connections
from dewy_cache_redis.faults import fault_of
from dewy_cache_redis.links import Link, ask

__all__ = ["RedisStore"]

T = TypeVar("T")

_LARGEST = 1024 * 1024
_SCAN = 1000
"""Keys that one step of a listing looks at, so that no step holds the server up."""
_PING_AFTER = 10.0
"""Seconds of silence after which a watched connection must show that it lives."""
_PONG = 5.0
"""Seconds in which it must."""

_COMPARE_AND_SET = """
local present = redis.call('GET', KEYS[1])
if ARGV[1] == 'absent' then
  if present then return 0 end
elseif present ~= ARGV[2] then
  return 0
end
if ARGV[3] == 'absent' and not present then return 1 end
redis.call('PUBLISH', KEYS[1], '')
if ARGV[3] == 'absent' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[4]) end
return 1
"""
"""GET has false for "there is none". The message comes first: if it is not allowed, nothing has been changed; and whoever
it wakes is not answered before the script has ended."""


class RedisStore:
    """A :class:`dewy.keyvalue.WatchableStore`. Connects when first used; safe to use from all threads.

    A value is a string under its key. Whoever watches it is told on the channel of the same name.

    Args:
        connections: The way to the server.
        name: As error texts name it.
    """

    def __init__(self, connections: Connections, name: str) -> None:
        self._connections, self._name = connections, name

    @property
    def largest(self) -> int:
        """1 MiB: far below what the server takes, and little enough for its other clients not to wait."""
        return _LARGEST

    def get(self, key: str) -> bytes | None:
        """A value; None when there is none."""
        value = self._run("reading", lambda connection: ask(connection, "GET", key))
        return None if value is None else bytes(value)

    # Setting and deleting are sent once more if the answer is lost: twice is as good as once. dewy does so with two kinds of
    # keys only: pieces, which no other host sets, and names of artifacts, where who comes last is right at any time. A name
    # that another host has set in between and that is replaced or removed then costs a download at most. What hosts agree
    # on by its value goes by compare_and_set.

    def set(self, key: str, value: bytes) -> None:
        """Stores a value. Also ends any time to live that somebody has given it."""
        self._run("writing", lambda connection: ask(connection, "SET", key, value))

    def delete(self, key: str) -> None:
        """Removes a value. That there is none is no error."""
        self._run("deleting", lambda connection: ask(connection, "DEL", key))

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with ``prefix``; what is no text is none of dewy's."""
        return self._run("listing", lambda connection: _scan(connection, prefix))

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        """Stores a value if the present one is ``expected``, in one step; whether it did.

        It is sent once. If the answer is lost, it may have been done or not, and CacheError says that it failed:
        repeating it could find its own value and answer "somebody was quicker", and reading the value back proves
        nothing where two hosts set the same. Who asked looks at the value when it comes back.
        """
        arguments = (*_argument(expected), *_argument(value))
        done = self._run(
            "comparing and setting",
            lambda connection: ask(connection, "EVAL", _COMPARE_AND_SET, 1, key, *arguments),
            repeatable=False,
        )
        return bool(done == 1)

    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        """Waits until a value is no longer ``seen``, up to so many seconds; returns it as it is then.

        It is read after the subscription stands, so that no change is missed. A connection that dies is an error, at
        once or, if it dies in silence, within 15 seconds.
        """
        end = time.monotonic() + seconds
        with self._failing("watching"), self._connections.extra() as connection:
            with within(_PONG):
                ask(connection, "SUBSCRIBE", key)
            while (value := self.get(key)) == seen and _wait(connection, end):
                pass
            return value if value != seen else self.get(key)

    def _run(self, doing: str, work: Callable[[Link], T], *, repeatable: bool = True) -> T:
        with self._failing(doing):
            return self._connections.run(work, repeatable=repeatable)

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        """Whatever goes wrong in the block becomes CacheError."""
        try:
            yield
        except DewyError:
            raise
        except Exception as error:  # redis-py raises more than it documents; here all of it becomes a sentence
            fault = fault_of(error)
            raise CacheError(f"{doing} in the cache {self._name} failed: {fault.reason}", fault.hint) from error


def _argument(value: bytes | None) -> tuple[str, bytes]:
    return ("absent", b"") if value is None else ("value", value)


def _scan(connection: Link, prefix: str) -> list[str]:
    """Lists on one connection: another server, after a fail-over, would not know where the listing stands."""
    pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", prefix) + "*"
    found: set[bytes] = set()  # a key may come twice
    cursor = b"0"
    while True:
        cursor, keys = ask(connection, "SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN)
        found.update(keys)
        if cursor == b"0":
            return [key.decode() for key in found if _is_text(key)]


def _is_text(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True


def _wait(connection: Link, end: float) -> bool:
    """Waits for a message on a subscribed connection; false when the time is over."""
    while (remaining := end - time.monotonic()) > 0:
        with within(remaining + _PONG):
            if not connection.can_read(timeout=min(remaining, _PING_AFTER)):
                if remaining > _PING_AFTER:
                    connection.send_command("PING", check_health=False)
                    _expect(connection)
                continue
            if connection.read_response()[0] == b"message":
                return True
    return False


def _expect(connection: Link) -> None:
    if not connection.can_read(timeout=_PONG):
        raise LostError("the watched connection does not answer")
