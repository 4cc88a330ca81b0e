"""Numbers of bytes as people write and read them: ``512``, ``64k``, ``500M``, ``5GiB``. Pure."""

from __future__ import annotations

import re

__all__ = ["format_size", "parse_size"]

_SIZE = re.compile(r"([0-9]{1,15})\s*(?:([kmgt])(?:i?b)?|b)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def parse_size(text: str) -> int:
    """Reads a size, in bytes. Units are powers of 1024. Raises ValueError for anything else, and for zero."""
    match = _SIZE.match(text.strip())
    size = int(match[1]) * _UNITS[(match[2] or "").lower()] if match else 0
    if not size:
        raise ValueError(f"not a size: {text!r}")
    return size


def format_size(size: int) -> str:
    """A size for people: ``512 B``, ``12.3 MiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
