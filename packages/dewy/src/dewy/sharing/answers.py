"""The registry's answer as hosts share it: what to run, or why there is no knowing. Pure.

It is read from a store that is not trusted: what does not have the form of an answer is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from dewy.choose import is_safe_name
from dewy.types import ListedFile, Release

__all__ = ["Answer", "digest_of_release", "read_answer", "write_answer"]

_FORMAT = 1


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
    """The answer as it is stored."""
    facts = asdict(answer) | {"format": _FORMAT}
    return json.dumps(facts, default=_plain, separators=(",", ":"), sort_keys=True).encode()


def read_answer(record: bytes | None) -> Answer | None:
    """Reads an answer; None when there is none, or none of this form."""
    try:
        facts = json.loads(record or b"")
        if not isinstance(facts, dict) or facts.pop("format", None) != _FORMAT:
            return None
        release = facts.pop("release")
        answer = Answer(**_checked(facts, Answer), release=None if release is None else _release(release))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return answer if 0 < answer.seconds < float("inf") else None


def digest_of_release(release: Release) -> str:
    """A release in short: the same for two hosts that are offered the same bytes."""
    facts = (release.version, release.artifact, sorted(release.digests), release.fingerprint, release.size)
    return json.dumps(facts, separators=(",", ":"))


def _release(facts: Mapping[str, Any]) -> Release:
    checksums = tuple(ListedFile(**_checked(file, ListedFile)) for file in facts["checksums"])
    release = Release(**{**_checked(facts, Release), "checksums": checksums})
    if not is_safe_name(release.artifact) or not release.version.isprintable() or "://" not in release.url:
        raise ValueError(release.artifact)
    return release


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (int, float),
}


def _checked(facts: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """The facts of a dataclass, each of its type; others are left out. Raises ValueError."""
    checked: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in facts or field.name in ("release", "checksums"):
            continue
        value, declared = facts[field.name], str(field.type)
        if declared == "datetime | None":
            checked[field.name] = None if value is None else datetime.fromisoformat(value)
        elif declared == "tuple[str, ...]":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ValueError(field.name)
            checked[field.name] = tuple(value)
        elif isinstance(value, _TYPES[declared]) and not isinstance(value, bool):
            checked[field.name] = value
        else:
            raise ValueError(field.name)
    return checked


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))
