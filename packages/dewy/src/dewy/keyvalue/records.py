"""How a shared cache writes down what it has: names, and the blobs that they lead to. Pure.

```
names/KEY          =VALUE, a small value itself; or @{"digest", "size"}, which leads to a blob
blobs/SHA256       {"state", "upload", "piece", "size", "stamp", "used"}: one content, whichever names lead to it
pieces/UPLOAD/N    the bytes, in pieces, of one upload of it
```

Each record has one form only, the one that is written here: what differs from it by a blank could be read, but never be
compared and replaced, and is taken for none of ours.

A name appears when its blob is whole, a blob is whole when all its pieces are there, and no two writers ever write the same
piece: so there is no instant at which a reader can take half a value.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Literal
from urllib.parse import quote, unquote

from dewy.untrusted import read_object

__all__ = ["Blob", "Pointer", "Stored", "decode_name", "encode_name", "read_blob", "read_name", "write_blob", "write_name"]

_LONGEST = 300
"""Characters of an encoded key; longer ones go by their digest, and the record has the key."""

_BEYOND = 1 << 63
"""No size and no time is as large."""

_INLINE, _POINTER, _LONG = b"=", b"@", b"~"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a name says that leads to a blob.

    Attributes:
        digest: SHA-256 of the content in hex, by which its blob goes.
        size: Of the content, in bytes.
    """

    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One content of the cache.

    Attributes:
        state: ``writing`` until all its pieces are there.
        upload: By which its pieces go: each attempt at writing it has one of its own.
        piece: Bytes of a piece; the last one may have less.
        size: Of the content, in bytes.
        stamp: Another one at each change, and while it is written: who sees the same for long knows that nobody is there.
        used: When a host last said that it needs it, by that host's clock: seconds since 1970. A hint, not a proof.
    """

    state: Literal["writing", "whole"]
    upload: str
    piece: int
    size: int
    stamp: str
    used: float

    @property
    def pieces(self) -> int:
        """How many it has."""
        return -(-self.size // self.piece)


@dataclass(frozen=True, slots=True)
class Stored:
    """A name's record, read.

    Attributes:
        key: The cache's key, where the name does not tell it; None where it does.
        value: The small value, or what leads to a large one; None when the record is none of ours.
    """

    key: str | None
    value: bytes | Pointer | None


def encode_name(key: str) -> str:
    """A cache's key, whatever is in it, as a part of a store's key."""
    name = quote(key, safe="", errors="surrogatepass")
    return name if len(name) <= _LONGEST else f":{hashlib.sha256(_bytes(key)).hexdigest()}"


def decode_name(name: str) -> str | None:
    """The key that a name encodes; None when it went by its digest, or encodes none."""
    if name.startswith(":"):
        return None
    try:
        return unquote(name, errors="surrogatepass")
    except UnicodeDecodeError:
        return None


def write_name(key: str, value: bytes | Pointer) -> bytes:
    """The record of a name. The same for the same key and value, so that records can be compared."""
    head = b""
    if encode_name(key).startswith(":"):
        head = _LONG + str(len(_bytes(key))).encode() + b"\n" + _bytes(key)
    return head + (_INLINE + value if isinstance(value, bytes) else _POINTER + _json(asdict(value)))


def read_name(record: bytes) -> Stored:
    """Reads a name's record: it comes from a store, which is not trusted."""
    key, rest = None, record
    if record.startswith(_LONG):
        length, _, rest = record[1:].partition(b"\n")
        if not length.isdigit() or len(length) > 5:
            return Stored(None, None)
        key, rest = _key(rest[: int(length)]), rest[int(length) :]
        if key is None:
            return Stored(None, None)
    if rest.startswith(_INLINE):
        return Stored(key, rest[1:])
    return Stored(key, _pointer(rest[1:]) if rest.startswith(_POINTER) else None)


def write_blob(blob: Blob) -> bytes:
    """The record of a blob. The same for the same blob."""
    return _json(asdict(blob))


def read_blob(record: bytes | None) -> Blob | None:
    """Reads a blob's record; None when there is none, or none of ours."""
    match read_object(record):
        case {
            "state": "writing" | "whole" as state, "upload": str(upload), "piece": int(piece), "size": int(size),
            "stamp": str(stamp), "used": int(used) | float(used),
        } if 0 < piece < _BEYOND and 0 <= size < _BEYOND and 0 <= used < _BEYOND and _UPLOAD.fullmatch(upload):  # fmt: skip
            blob = Blob(state=state, upload=upload, piece=piece, size=size, stamp=stamp, used=used)
            return blob if write_blob(blob) == record else None
    return None


def _pointer(record: bytes) -> Pointer | None:
    match read_object(record):
        case {"digest": str(digest), "size": int(size)} if 0 <= size < _BEYOND and _SHA256.fullmatch(digest):
            pointer = Pointer(digest, size)
            return pointer if _json(asdict(pointer)) == record else None
    return None


def _key(text: bytes) -> str | None:
    try:
        return text.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return None


def _json(facts: dict[str, object]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _bytes(key: str) -> bytes:
    return key.encode(errors="surrogatepass")
