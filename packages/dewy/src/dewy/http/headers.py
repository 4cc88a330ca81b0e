"""Header fields, and what those say that the client acts on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from urllib.parse import urljoin

__all__ = ["Headers", "content_range", "date_of", "links", "strong_validator", "whole_number"]

_LINK = re.compile(r"<([^<>]*)>((?:[^,<>\"]|\"[^\"]*\")*)")
_PARAMETER = re.compile(r";\s*([^\s=;\"]+)\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))")
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,19})-[0-9]{1,19}|\*)/(?:([0-9]{1,19})|\*)\Z")
_DIGITS = re.compile(r"[0-9]{1,19}\Z")


class Headers(Mapping[str, str]):
    """Header fields by name, whatever its case. A field that came several times has its values joined by a comma."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            key = name.lower()
            self._fields[key] = f"{self._fields[key]}, {value}" if key in self._fields else value

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def updated(self, newer: Headers) -> Headers:
        """These fields, with those of ``newer`` in place of the ones of the same name."""
        return Headers({**self._fields, **newer._fields}.items())

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._fields)})"  # names only: a value may be a secret


def whole_number(text: str | None) -> int | None:
    """A field's value as a number; None when it is none."""
    text = (text or "").strip()
    return int(text) if _DIGITS.match(text) else None


def links(headers: Mapping[str, str], base: str) -> dict[str, str]:
    """The targets of the ``Link`` field by relation, absolute (RFC 8288); of two with one relation, the first."""
    found: dict[str, str] = {}
    for target, parameters in _LINK.findall(headers.get("link", "")):
        relations = (quoted or plain for name, quoted, plain in _PARAMETER.findall(parameters) if name.lower() == "rel")
        for relation in next(relations, "").lower().split():
            found.setdefault(relation, urljoin(base, target))
    return found


def date_of(text: str | None) -> datetime | None:
    """An HTTP date, aware of its time zone; None when it is none (RFC 9110, 5.6.7)."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else None


def strong_validator(headers: Mapping[str, str]) -> str | None:
    """What an ``If-Range`` may hold: a strong ETag, else a date that is certain to change with the bytes.

    A file may change twice within the second that ``Last-Modified`` tells, so the date counts only if the answer was made
    later than that second (RFC 9110, 8.8.2.2). None when there is neither.
    """
    etag = headers.get("etag", "").strip()
    if etag.startswith('"'):
        return etag
    modified, made = date_of(headers.get("last-modified")), date_of(headers.get("date"))
    if modified is not None and made is not None and (made - modified).total_seconds() >= 1:
        return headers["last-modified"].strip()
    return None


def content_range(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """The first byte's position and the whole's size of ``Content-Range``; None for what it does not say."""
    match = _CONTENT_RANGE.match(headers.get("content-range", "").strip().lower())
    return (whole_number(match[1]), whole_number(match[2])) if match else (None, None)
