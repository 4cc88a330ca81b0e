"""Reading a body in full, bounded before and after decoding. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from dewy.http.errors import HttpError

__all__ = ["ACCEPTED", "read_body"]

ACCEPTED = "gzip"
"""The content coding that requests ask for."""

_GZIP_OR_ZLIB = 47
_ENCODED = frozenset({"gzip", "x-gzip", "deflate"})


def read_body(pieces: Iterable[bytes], encoding: str, limit: int, shown: str) -> bytes:
    """The body, decoded.

    Args:
        pieces: As they come.
        encoding: The ``Content-Encoding``, or empty.
        limit: Bytes; at most this many and one piece are ever held.
        shown: The URL as error texts may show it.

    Raises:
        HttpError: It is larger than the limit, cut short, or not encoded as it says.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity"}:
        if encoding not in _ENCODED:
            raise HttpError(f"{shown} comes in the encoding {encoding[:40]!r}, which was not asked for")
        pieces = _decoded(pieces, limit, shown)
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise HttpError(f"{shown} is larger than the {limit} bytes that are taken", "Is it the right URL?")
    return bytes(body)


def _decoded(pieces: Iterable[bytes], limit: int, shown: str) -> Iterator[bytes]:
    """Decodes piece by piece, none larger than one byte over the limit: what is small packed may be huge unpacked."""
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    empty = True
    for piece in pieces:
        rest = piece
        while rest:
            empty = False
            if decoder.eof:  # one member ended, another begins
                decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                yield decoder.decompress(rest, limit + 1)
            except zlib.error:
                raise HttpError(f"{shown} is not encoded as its header says", transient=True) from None
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not empty and not decoder.eof:
        raise HttpError(f"{shown} was cut off in the middle", transient=True)
