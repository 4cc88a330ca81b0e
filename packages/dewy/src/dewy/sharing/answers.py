"""The registry's answer as hosts share it: what to run, or why there is no knowing. Pure.

It is read from a store that is not trusted: what does not have the form of an answer is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from dewy.choose import is_safe_name
from dewy.types import ListedFile, Release
from dewy.untrusted import read_object

__all__ = ["Answer", "digest_of_release", "read_answer", "write_answer"]

T = TypeVar("T")

_FORMAT = 1
_LONGEST_REASON = 2000
"""Characters of a reason that are shared: an answer must remain a small value, whatever a plugin says."""
_BEYOND = 1 << 63
"""No size and no count is as large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the host that asked has learnt, for all.

    Attributes:
        stamp: Another one at each answer, also when it says the same.
        seconds: For how long it is good after a host has first seen it.
        release: What to run; with failures, what the registry said last. None when it has not said anything yet.
        source: The release as the registry gave it, in short, to know whether it has changed.
        pending: Why the newest version cannot be deployed yet, or empty (R28).
        error: Why the registry gave no answer this time, or empty.
        failures: How often in a row.
    """

    stamp: str
    seconds: float
    release: Release | None = None
    source: str = ""
    pending: str = ""
    error: str = ""
    failures: int = 0


def write_answer(answer: Answer) -> bytes:
    """The answer as it is stored. Raises TypeError or ValueError for a release that a plugin has filled otherwise."""
    facts = asdict(answer) | {
        "format": _FORMAT, "pending": answer.pending[:_LONGEST_REASON], "error": answer.error[:_LONGEST_REASON],
    }  # fmt: skip
    return json.dumps(facts, default=_plain, separators=(",", ":"), sort_keys=True).encode()


def read_answer(record: bytes | None) -> Answer | None:
    """Reads an answer; None when there is none, or none of this form."""
    facts = read_object(record)
    if facts.get("format") != _FORMAT:
        return None
    try:
        answer = _read(facts, Answer)
    except (ValueError, TypeError, AttributeError):
        return None
    says_something = answer.release or answer.pending or answer.error
    return answer if says_something and answer.seconds > 0 else None


def digest_of_release(release: Release) -> str:
    """A release in short: the same for two hosts that are offered the same bytes."""
    facts = (release.version, release.artifact, sorted(release.digests), release.fingerprint, release.size)
    return json.dumps(facts, separators=(",", ":"))


# ---------------------------------------------------------------------------------- reading: each raises what it refuses


def _read(facts: Mapping[str, Any], kind: Callable[..., T]) -> T:
    """A dataclass from its facts, each of the type that it declares; facts that it does not have are left out."""
    declared = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    return kind(**{name: _READERS[declared[name]](value) for name, value in facts.items() if name in declared})


def _text(value: Any) -> str:
    value.encode()  # half of a character (a lone surrogate) is none, and fails wherever it is written
    return str(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _BEYOND:
        raise ValueError(value)
    return value


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float):
        raise TypeError(value)
    return float(min(value, _BEYOND))


def _several(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    def read_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise TypeError(value)
        return tuple(read(item) for item in value)

    return read_all


def _optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else read(value)


def _release(facts: Mapping[str, Any]) -> Release:
    release = _read(facts, Release)
    if not is_safe_name(release.artifact) or not release.version.isprintable() or "://" not in release.url:
        raise ValueError(release.artifact)
    return release


_READERS: dict[str, Callable[[Any], object]] = {
    "str": _text,
    "str | None": _optional(_text),
    "int": _count,
    "int | None": _optional(_count),
    "float": _seconds,
    "datetime | None": _optional(datetime.fromisoformat),
    "tuple[str, ...]": _several(_text),
    "tuple[ListedFile, ...]": _several(lambda facts: _read(facts, ListedFile)),
    "Release | None": _optional(_release),
}
"""How a fact is read, by the type that a dataclass declares."""


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))
