"""How the file cache names its files: ``<version>--<artifact name>`` stands on the disk exactly so (R41). Pure.

What a file name cannot hold, or what could be taken for something else, is percent-encoded. Different keys have different
names, and the name gives the key back; only a key whose name would be too long for a file system is named by its digest,
and stands in the first line of its file instead.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote, unquote_to_bytes

__all__ = ["CURRENT", "PINNED", "TAG", "encoded", "file_name", "is_long", "key_of"]

CURRENT = "current"
"""The file whose text is the key of the artifact that runs."""

PINNED = ".pinned.json"
"""The file that lists all keys that are needed."""

TAG = "CACHEDIR.TAG"
"""The file by which backup programs know a cache, and dewy a directory in which it may remove things."""

_LONG = "%long-"  # no encoded key begins so: behind a percent sign they have two hex digits
_LONGEST = 255
# Printable ASCII but for the slash and the percent sign; a dot or a blank at the beginning is taken care of below.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in "/%")
_RESERVED = re.compile(r"(?:current|CACHEDIR\.TAG)\Z|[. ]")


def encoded(key: str) -> str:
    """A key in printable ASCII without slashes; :func:`key_of` is its inverse."""
    name = quote(key.encode("utf-8", "surrogatepass"), safe=_PLAIN)
    return f"%{ord(name[0]):02X}{name[1:]}" if _RESERVED.match(name) else name


def file_name(key: str) -> str:
    """The name of the file that has the value of ``key``."""
    name = encoded(key)
    return name if len(name) <= _LONGEST else f"{_LONG}{hashlib.sha256(name.encode()).hexdigest()}"


def is_long(name: str) -> bool:
    """Whether a file of this name begins with a line that is the encoded key."""
    return name.startswith(_LONG)


def key_of(name: str) -> str | None:
    """The key with this encoding; None when no key has it."""
    try:
        key = unquote_to_bytes(name).decode("utf-8", "surrogatepass")
    except UnicodeError:
        return None
    return key if encoded(key) == name else None
