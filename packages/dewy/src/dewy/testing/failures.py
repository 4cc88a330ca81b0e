"""How a backend fails well: soon, as dewy's own error, in a sentence a person can act on, without a secret in it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from dewy.errors import DewyError
from dewy.http import HttpError

__all__ = ["check_sentence", "fails_well"]


@contextmanager
def fails_well(
    kind: type[DewyError], *, within: float, secrets: Iterable[str] = (), or_http: bool = False
) -> Iterator[None]:
    """Checks that the block raises ``kind``, within so many seconds, with a usable text that holds none of ``secrets``.

    ``or_http``: what dewy's HTTP client raises may come out as it is.
    """
    started = time.monotonic()
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is what is checked
        yield
    took = time.monotonic() - started
    error = raised.value
    assert isinstance(error, (kind, HttpError) if or_http else kind), (
        f"raise {kind.__name__}, not {type(error).__name__} ({error})"
    )
    assert took < within, f"it took {took:.1f} s to fail: give every call a time-out"
    check_sentence(error)
    for secret in secrets:
        assert secret not in f"{error} {error!r}", "the error's text holds a secret: never put one in"


def check_sentence(error: DewyError) -> None:
    """Checks an error's text: one line that says something, without a full stop, which dewy puts."""
    assert len(error.message.split()) >= 3, f"{error.message!r} says too little: what failed, on what, why?"
    assert "\n" not in error.message + error.hint, f"{str(error)!r} has several lines"
    assert not error.message.endswith("."), f"{error.message!r} ends with a full stop: dewy puts it"
