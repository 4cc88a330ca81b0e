"""What the client remembers, so that an unchanged answer costs a 304 (R30). Safe to use from all threads."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from dewy.http.headers import Headers, strong_validator
from dewy.http.hops import Hop
from dewy.http.response import Response

__all__ = ["Memory", "Remembered"]


@dataclass(frozen=True, slots=True)
class Remembered:
    """One answer, packed: lists of releases shrink to a tenth and less."""

    headers: Headers
    packed: bytes = field(repr=False)

    @property
    def conditions(self) -> dict[str, str]:
        """The header fields that ask whether it still holds."""
        if etag := self.headers.get("etag"):
            return {"If-None-Match": etag}
        return {"If-Modified-Since": strong_validator(self.headers) or ""}

    def renewed(self, hop: Hop, headers: Headers) -> Response:
        """The answer again, with the header fields of the 304 over its own (RFC 9111, 3.2)."""
        content = zlib.decompress(self.packed)
        return Response(hop.url, hop.shown, 200, self.headers.updated(headers), content, not_modified=True)


class Memory:
    """The last answers, by what was asked and with which credentials; the least recently used go first.

    Args:
        most: Answers.
        most_bytes: Of all packed contents together.
        largest: Bytes of one content, unpacked; larger ones are not remembered.
    """

    def __init__(self, *, most: int = 256, most_bytes: int = 32 << 20, largest: int = 16 << 20) -> None:
        self._most, self._most_bytes, self._largest = most, most_bytes, largest
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Remembered] = OrderedDict()
        self._bytes = 0

    def recall(self, hop: Hop) -> Remembered | None:
        """The answer to the same request with the same credentials, if it is remembered."""
        with self._lock:
            answer = self._answers.get(_key(hop))
            if answer is not None:
                self._answers.move_to_end(_key(hop))
            return answer

    def keep(self, hop: Hop, response: Response) -> None:
        """Remembers an answer in place of the one before, if the server can be asked whether it still holds."""
        answer = None
        if response.status == 200 and len(response.content) <= self._largest and _can_be_kept(response.headers):
            answer = Remembered(response.headers, zlib.compress(response.content, 1))
        with self._lock:
            self._forget(_key(hop))
            if answer is not None:
                self._answers[_key(hop)] = answer
                self._bytes += len(answer.packed)
            while len(self._answers) > self._most or self._bytes > self._most_bytes:
                self._forget(next(iter(self._answers)))

    def _forget(self, key: Hashable) -> None:
        if answer := self._answers.pop(key, None):
            self._bytes -= len(answer.packed)


def _key(hop: Hop) -> Hashable:
    return hop.url, frozenset((name.lower(), value) for name, value in hop.headers.items()), hop.identity


def _can_be_kept(headers: Headers) -> bool:
    if "no-store" in headers.get("cache-control", "").lower() or "*" in headers.get("vary", ""):
        return False
    # A date that may not change with the bytes would have a change within the same second overlooked for ever.
    return bool(headers.get("etag")) or strong_validator(headers) is not None
