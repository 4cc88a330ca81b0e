"""Why a request to an object store failed: what the store's plugin says, and dewy makes a sentence of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from dewy.errors import DewyError

__all__ = ["Fault", "ObjectStoreError", "one_line", "system_reason", "told_as"]

_DEEPEST = 10
"""Causes that are looked through: an error may be its own cause."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request failed.

    Attributes:
        reason: A phrase without a full stop, to stand after "… failed: ".
        hint: What to do about it: one sentence, or empty.
        credentials: Other credentials may help: they are looked for anew at the next request; see :class:`Clients`.
        passing: The same request may well succeed in a moment, for the network or the store has failed, not the request:
            a download goes on where it broke off.
    """

    reason: str
    hint: str = ""
    credentials: bool = False
    passing: bool = False


class ObjectStoreError(Exception):
    """A request failed. dewy says what it was for, and on which object.

    Args:
        fault: Why.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


@contextmanager
def told_as(kind: type[DewyError], doing: str) -> Iterator[None]:
    """Has an :class:`ObjectStoreError` inside come out as ``kind``, with what the block does: "downloading …"."""
    try:
        yield
    except ObjectStoreError as error:
        raise kind(f"{doing} failed: {error.fault.reason}", error.fault.hint) from error


def one_line(text: object, most: int = 240) -> str:
    """A stranger's words, fit for one line of an error text: at most so many characters, all of them printable."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return words[:most].rstrip(". ")


def system_reason(error: BaseException) -> str:
    """What the operating system said, ``Connection refused`` say, wherever an SDK has wrapped it; or empty."""
    inner: BaseException | None = error
    for _ in range(_DEEPEST):
        if inner is None:
            break
        if isinstance(inner, OSError) and isinstance(inner.errno, int) and inner.strerror:
            return one_line(inner.strerror)
        inner = next(_wrapped(inner), inner.__cause__ or inner.__context__)
    return ""


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """The errors that an error has as arguments, as attributes, or in an attribute that is a mapping."""
    for value in (*error.args, *vars(error).values()):
        for held in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(held, BaseException):
                yield held
