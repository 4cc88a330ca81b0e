"""Reading what somebody else may have written: a store that hosts share, a file that was edited. Pure."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["read_object"]


def read_object(text: bytes | None) -> dict[str, Any]:
    """A JSON object; an empty one where there is none, or something else. Never raises, whatever the bytes are."""
    try:
        found = json.loads(text or b"")
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number of thousands of digits; nested too deeply
        return {}
    return found if isinstance(found, dict) else {}
