"""What is said on the control socket: a JSON object a line. Pure.

The client sends one request. The server answers with any number of ``{"waiting": TEXT}``, as signs of life, and then one
``{"done": OBJECT}`` or ``{"error": TEXT, "hint": TEXT, "kind": "usage" | "failure"}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from dewy.errors import DewyError, UsageError

__all__ = ["LONGEST_LINE", "Reply", "Request", "Verb", "done", "failed", "parse_reply", "parse_request", "waiting"]

Verb = Literal["status", "rollback", "hold", "unhold", "restart", "upgrade"]
LONGEST_LINE = 1 << 20
"""Bytes of a line at most."""

_NAME = re.compile(r"[\w.@-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """What an operator asks.

    Attributes:
        verb: What to do.
        version: The version it is about, or empty.
        operator: Who asks, as the command says; the server knows the user for sure.
    """

    verb: Verb
    version: str = ""
    operator: str = ""

    def line(self) -> bytes:
        """The request as it is sent."""
        return _line(asdict(self))


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server says.

    Attributes:
        waiting: What dewy is busy with, while it is not done.
        done: What was asked for.
        error: Why it was not done.
    """

    waiting: str = ""
    done: Mapping[str, Any] | None = None
    error: DewyError | None = None


def parse_request(line: bytes) -> Request:
    """A request from its line. Raises UsageError for what is none."""
    data = _object(line)
    verb, version, operator = (data.get(name, "") for name in ("verb", "version", "operator"))
    if verb not in get_args(Verb) or not isinstance(version, str) or not isinstance(operator, str):
        raise UsageError(f"this dewy knows no such request: {verb!r}", "Restart it after an upgrade")
    return Request(verb, version, operator if _NAME.match(operator) else "")


def waiting(what: str) -> bytes:
    """The line that says what dewy is busy with."""
    return _line({"waiting": what})


def done(value: Mapping[str, Any]) -> bytes:
    """The line that says what was done."""
    return _line({"done": value})


def failed(error: DewyError) -> bytes:
    """The line that says why nothing was done."""
    kind = "usage" if isinstance(error, UsageError) else "failure"
    return _line({"error": error.message, "hint": error.hint, "kind": kind})


def parse_reply(line: bytes) -> Reply:
    """A reply from its line. Raises DewyError for what is none."""
    data = _object(line)
    if "error" in data:
        kind = UsageError if data.get("kind") == "usage" else DewyError
        return Reply(error=kind(str(data["error"]), str(data.get("hint", ""))))
    if isinstance(data.get("done"), dict):
        return Reply(done=data["done"])
    return Reply(waiting=str(data.get("waiting", "")))


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise UsageError("what came over the control socket is not understood", "Is it the same version of dewy?")
    return data
