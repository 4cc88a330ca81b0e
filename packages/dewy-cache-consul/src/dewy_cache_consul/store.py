"""Consul's key-value store as a store of small values."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from dewy_cache_consul.client import Answer, Client, Request
from dewy_cache_consul.faults import FILTERED, STRANGER, Fault, refusal_of
from dewy_cache_consul.keys import decode_key, encode_key
from dewy_cache_consul.lines import Deadline

__all__ = ["ConsulStore"]

_LARGEST = 512 * 1024
"""Consul's kv_max_value_size, as it is unless somebody changes it."""
_PATIENCE = 9.0
"""Seconds for a call, all included."""
_LONGEST_WAIT = 60.0
"""Seconds that one blocking query waits at most."""
_JITTER = 1 / 16
"""Part of its waiting time by which the agent may answer later."""
_PAUSE = 0.2
"""Seconds before asking again when the agent has answered at once and nothing has happened."""
_ATTEMPTS = 8
"""To compare and set while others set the same value again and again."""

_FRESH: dict[str, str | int] = {"consistent": ""}
"""The leader makes sure that it still is the leader. By default it would answer from memory for some moments after the
others have chosen another one, and "stale" lets any server answer."""
_OVERTAKEN = ("current modify index", "doesn't exist")
"""What a transaction says when the key was changed or removed meanwhile."""


class ConsulStore:
    """A :class:`dewy.keyvalue.WatchableStore`. Connects when first used; safe to use from all threads.

    Args:
        client: The way to the agent.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def largest(self) -> int:
        """512 KiB."""
        return _LARGEST

    def get(self, key: str) -> bytes | None:
        """A value; None when there is none."""
        answer = self._client.ask(Request("reading", "GET", _path(key), _FRESH | {"raw": ""}), Deadline(_PATIENCE))
        return answer.body if self._found("reading", answer) else None

    # Setting and deleting are sent once more if the answer is lost: twice is as good as once. dewy does so with two kinds of
    # keys only: pieces, which no other host sets, and names of artifacts, where who comes last is right at any time. A name
    # that another host has set in between and that is replaced or removed then costs a download at most. What hosts agree
    # on by its value goes by compare_and_set.

    def set(self, key: str, value: bytes) -> None:
        """Stores a value."""
        answer = self._client.ask(Request("writing", "PUT", _path(key), {}, value), Deadline(_PATIENCE))
        if not self._done("writing", answer):
            raise self._client.failure("writing", Fault("the agent did not store it", "See the agent's log"))

    def delete(self, key: str) -> None:
        """Removes a value. That there is none is no error."""
        answer = self._client.ask(Request("deleting", "DELETE", _path(key), {}), Deadline(_PATIENCE))
        self._done("deleting", answer)

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with ``prefix``; what is written as no key of dewy's is written is somebody else's.

        An agent leaves out what the token may not read. One that says so is not believed: dewy would clean up after it.
        """
        answer = self._client.ask(Request("listing", "GET", _path(prefix), _FRESH | {"keys": ""}), Deadline(_PATIENCE))
        found = self._found("listing", answer)
        if answer.filtered:
            raise self._client.failure("listing", FILTERED)
        if not found:
            return []
        names = self._json("listing", answer)
        if not isinstance(names, list):
            raise self._client.failure("listing", STRANGER)
        return [key for name in names if isinstance(name, str) and (key := decode_key(name)) is not None]

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        """Stores a value if the present one is ``expected``, in one step; whether it did.

        The value is compared here, and the agent makes sure that nobody has touched it since. Each change is sent once: if
        its answer is lost, it may have been done or not, and CacheError says so. Tried again, it might find its own value
        and take it for somebody else's.
        """
        deadline = Deadline(_PATIENCE)
        for _ in range(_ATTEMPTS):
            present, index = self._entry(key, deadline)
            if present != expected:
                return False
            if present is None and value is None:
                return True
            done = self._put(key, value, index, deadline) if value is not None else self._remove(key, index, deadline)
            if done:
                return True
        return False

    def watch(self, key: str, seen: bytes | None, seconds: float) -> bytes | None:
        """Waits until a value is no longer ``seen``, up to so many seconds; returns it as it is then.

        The first query answers at once and gives the index that the next one waits beyond, so nothing is missed between
        them. An agent that ends, or a host that is gone, is an error.
        """
        end, index = time.monotonic() + seconds, 0
        value, next_index = self._wait(key, 0, 0.0)
        while value == seen and (left := end - time.monotonic()) > 0:
            # An index that has gone back is of a store that was restored: what it counts begins anew.
            if index and next_index <= index:
                time.sleep(min(_PAUSE, left))
            index = next_index if next_index >= index else 0
            value, next_index = self._wait(key, index, min(left, _LONGEST_WAIT))
        return value

    # ------------------------------------------------------------------------------------------------------ the requests

    def _entry(self, key: str, deadline: Deadline) -> tuple[bytes | None, int]:
        """A value and the index of its last change; None and 0 when there is none."""
        doing = "comparing"
        answer = self._client.ask(Request(doing, "GET", _path(key), _FRESH), deadline)
        if not self._found(doing, answer):
            return None, 0
        try:
            [entry] = self._json(doing, answer)
            return base64.b64decode(entry["Value"] or "", validate=True), int(entry["ModifyIndex"])
        except (ValueError, TypeError, KeyError):
            raise self._client.failure(doing, STRANGER) from None

    def _put(self, key: str, value: bytes, index: int, deadline: Deadline) -> bool:
        doing = "comparing and setting"
        answer = self._client.ask(Request(doing, "PUT", _path(key), {"cas": index}, value, repeatable=False), deadline)
        return self._done(doing, answer)

    def _remove(self, key: str, index: int, deadline: Deadline) -> bool:
        """In a transaction: ``DELETE ?cas=`` calls it a success too when somebody else has removed the key before."""
        doing, name = "comparing and removing", encode_key(key)
        steps = [
            {"KV": {"Verb": "check-index", "Key": name, "Index": index}},
            {"KV": {"Verb": "delete", "Key": name}},
        ]
        body = json.dumps(steps).encode()
        answer = self._client.ask(Request(doing, "PUT", "/v1/txn", {}, body, repeatable=False), deadline)
        if answer.status == 409 and self._overtaken(doing, answer):
            return False
        if answer.status != 200:
            raise self._client.failure(doing, refusal_of(answer.status, answer.body))
        return True

    def _overtaken(self, doing: str, answer: Answer) -> bool:
        """Whether the transaction was not made because the key was changed or removed, and for no other reason."""
        try:
            reasons = [str(error["What"]) for error in self._json(doing, answer)["Errors"]]
        except (TypeError, KeyError):
            return False
        return all(any(sign in reason for sign in _OVERTAKEN) for reason in reasons)

    def _wait(self, key: str, index: int, seconds: float) -> tuple[bytes | None, int]:
        """A value, once something has changed beyond the index, or the time is over; and the index as it is then."""
        query, asked = _FRESH | {"raw": ""}, 0.0
        if index:
            asked = max(seconds * (1 - _JITTER), 0.001)
            query |= {"index": index, "wait": f"{max(int(asked * 1000), 1)}ms"}
        deadline = Deadline(_PATIENCE + asked * (1 + _JITTER))
        answer = self._client.ask(Request("watching", "GET", _path(key), query, repeatable=not index), deadline)
        value = answer.body if self._found("watching", answer) else None
        return value, answer.index or 0

    # ------------------------------------------------------------------------------------------------------- the answers

    def _found(self, doing: str, answer: Answer) -> bool:
        """Whether there is a value. A stranger's 404 must not be taken for "there is none"."""
        if answer.status in (200, 404) and answer.index is None:
            raise self._client.failure(doing, STRANGER)
        if answer.status == 200:
            return True
        if answer.status == 404:
            return False
        raise self._client.failure(doing, refusal_of(answer.status, answer.body))

    def _done(self, doing: str, answer: Answer) -> bool:
        if answer.status != 200:
            raise self._client.failure(doing, refusal_of(answer.status, answer.body))
        said = answer.body.strip()
        if said not in (b"true", b"false"):
            raise self._client.failure(doing, STRANGER)
        return said == b"true"

    def _json(self, doing: str, answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            raise self._client.failure(doing, STRANGER) from None


def _path(key: str) -> str:
    return f"/v1/kv/{encode_key(key)}"
