"""What Google Cloud Storage states of an object, from the fields of its JSON API ("Objects" resource). Pure.

What a field holds is checked, as anything that comes over the wire: a field that is not what the API says is as if it
were not there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

__all__ = ["crc32c_of", "fingerprint_of", "md5_of", "modified_of", "size_of"]


def size_of(fields: Mapping[str, object]) -> int | None:
    """``size``: in bytes. The API writes large numbers as strings."""
    return _number(fields.get("size"))


def fingerprint_of(fields: Mapping[str, object]) -> str | None:
    """``generation``: another one for every time that the object is written."""
    generation = _number(fields.get("generation"))
    return None if generation is None else str(generation)


def md5_of(fields: Mapping[str, object]) -> str | None:
    """``md5Hash`` as ``md5:HEX``. Composite objects and those uploaded in parts have none."""
    digest = _decoded(fields.get("md5Hash"), 16)
    return f"md5:{digest.hex()}" if digest else None


def crc32c_of(fields: Mapping[str, object]) -> int | None:
    """``crc32c``, which every object has, as a number."""
    checksum = _decoded(fields.get("crc32c"), 4)
    return int.from_bytes(checksum, "big") if checksum else None


def modified_of(fields: Mapping[str, object]) -> datetime | None:
    """``updated``: when the object or what is said of it was last changed, aware of its zone."""
    try:
        moment = datetime.fromisoformat(str(fields.get("updated")))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _number(value: object) -> int | None:
    """A whole number that is not negative, as JSON's number or string."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def _decoded(value: object, size: int) -> bytes | None:
    """The bytes of a base64 text, if there are as many as there must be."""
    try:
        found = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == size else None
