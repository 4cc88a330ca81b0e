"""Audit entries: who runs what since when, as small text files beside a version (R29). Pure.

The name alone tells host, command and time, so that a listing is enough to search; it is the original tool's form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from dewy.types import Report

__all__ = ["AuditEntry", "entry_content", "entry_name", "is_entry", "parse_entry"]

_LONGEST_HOST = 150
"""Of a name's 255 bytes; hosts' names have at most 64 on Linux."""

_NAME = re.compile(
    r"shipped_to_(?P<who>.+)_at_(?P<second>[0-9]{8}T[0-9]{6})(?:\.(?P<fraction>[0-9]{1,9}))?Z\.txt",
    re.ASCII | re.DOTALL,
)
_COMMANDS = ("server", "assets", "container")
"""Those of dewy, and one more of the original."""

_OUTSIDE_NAMES = re.compile(r"[^a-z0-9._-]", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What an audit entry's name says.

    Attributes:
        host: The host's name, lower case.
        command: ``server`` or ``assets``; ``container`` from the original, empty in its oldest entries.
        at: When the deployment was done, UTC, to the microsecond.
    """

    host: str
    command: str
    at: datetime


def entry_name(report: Report) -> str:
    """The name of a deployment's entry: ``shipped_to_web-1_server_at_20240315T143022.000000000Z.txt``.

    Characters of the host's name that have no place in a file's name become dashes.
    """
    return f"shipped_to_{_host(report)}_{report.command}_at_{_stamp(report.at)}.txt"


def entry_content(report: Report) -> str:
    """What is in the entry: the sentence its name is made of, then one fact a line as ``name: value``."""
    release = report.release
    facts = [("version", release.version), ("artifact", release.artifact)]
    facts += [("digest", digest) for digest in release.digests]
    lines = [f"shipped to {_host(report)} {report.command} at {_stamp(report.at)}"]
    lines += [f"{name}: {_CONTROL.sub(' ', value)}" for name, value in facts]
    return "\n".join(lines) + "\n"


def is_entry(name: str) -> bool:
    """Whether a file's name is an audit entry's: such a file is never taken for an artifact."""
    return parse_entry(name) is not None


def parse_entry(name: str) -> AuditEntry | None:
    """Reads an entry's name, the original tool's included; None for any other name. Never raises.

    A host's name may itself have underscores and dashes. The original has written names without a fraction of a second
    and, long ago, without the command.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        second = datetime.strptime(match["second"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    at = second.replace(microsecond=int((match["fraction"] or "0").ljust(9, "0")[:6]))
    host, _, command = match["who"].rpartition("_")
    if host and command in _COMMANDS:
        return AuditEntry(host, command, at)
    return AuditEntry(match["who"], "", at)


def _host(report: Report) -> str:
    return _OUTSIDE_NAMES.sub("-", report.host.lower())[:_LONGEST_HOST] or "localhost"


def _stamp(at: datetime) -> str:
    """The time with nanoseconds, of which Python knows the first six digits. A time without a zone is taken as UTC."""
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{at:%Y%m%dT%H%M%S}".rjust(15, "0") + f".{at.microsecond:06d}000Z"
