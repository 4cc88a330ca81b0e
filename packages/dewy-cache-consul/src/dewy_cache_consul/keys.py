"""How dewy's keys are written in Consul. Pure.

An agent cleans the path of a request, so ``//``, ``/./`` and ``/../`` lead to another key, and newer releases refuse more
characters than older ones. So everything but letters, digits, ``_``, ``-``, ``/`` and single dots is a comma and two hex
digits here, which needs no percent-encoding on the wire.
"""

from __future__ import annotations

import re

__all__ = ["decode_key", "encode_key"]

# A slash stands as it is only after something else, a dot only within a segment and alone: no segment is empty or of dots.
# Whether something is escaped depends on what comes before it: the encoding of a prefix is a prefix of the encoding.
_ESCAPED = re.compile(rb"[^A-Za-z0-9_/.-]|(?<![^/])/|(?<![^/.])\.")
_HEX = re.compile(rb",([0-9A-F]{2})")


def encode_key(key: str) -> str:
    """The key as it is in Consul; it needs no further encoding in a URL."""
    return _ESCAPED.sub(lambda found: b",%02X" % ord(found[0]), key.encode()).decode("ascii")


def decode_key(name: str) -> str | None:
    """The key that was written so; None for a name that :func:`encode_key` never gives, somebody else's."""
    try:
        key = _HEX.sub(lambda found: bytes([int(found[1], 16)]), name.encode("ascii")).decode()
    except UnicodeError:
        return None
    return key if encode_key(key) == name else None
