"""What everything that is said now belongs to: facts that each event of a deployment has, whoever says it.

They follow the call, also into the threads in which plugins are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from dewy.types import FieldValue

__all__ = ["facts", "within"]

_FACTS: ContextVar[Mapping[str, FieldValue]] = ContextVar("facts", default={})  # noqa: B039 - never changed


def facts() -> Mapping[str, FieldValue]:
    """The facts that hold here."""
    return _FACTS.get()


@contextmanager
def within(**more: FieldValue) -> Iterator[None]:
    """Has every event that is said in the block carry these facts; its own fields of the same name come first."""
    token = _FACTS.set({**_FACTS.get(), **more})
    try:
        yield
    finally:
        _FACTS.reset(token)
