"""Times as people write them, and back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("0", 0), ("30", 30), ("1.5", 1.5), ("30s", 30), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("7d", 604800)),
        *(
            ("250ms", 0.25),
            ("1m30s", 90),
            ("1.5h", 5400),
            (" 10s ", 10),
            ("10S", 10),
            ("1H30M", 5400),
            ("36500d", 3153600000),
        ),
    ],
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "s", "soon", "-1", "-1s", "+1", "1 s", "1h 30m", "1x", "1.s", ".5", "1e3", "inf", "nan", "infinity"),
        *("1_000", "\uff11\uff10", "10s\0", "1h30", "0x10", "9" * 400, "36501d", "9" * 400 + "s", "1,5s"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0s"), (0.42, "0.42s"), (1, "1s"), (1.5, "1.5s"), (9.999, "10s"), (12, "12s"), (12.4, "12s"), (59.6, "1m")),
        *((300, "5m"), (90, "1m30s"), (5400, "1h30m"), (5401, "1h30m"), (86400, "1d"), (100000, "1d3h"), (3600, "1h")),
    ],
)
def test_times_are_told_in_two_parts_at_most(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.text(max_size=20))
def test_no_text_makes_it_raise_anything_but_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):  # what is no time
        assert 0 <= parse_duration(text) < float("inf")


@given(st.floats(0, 3_000_000_000))
def test_what_is_told_is_read_as_about_the_same(seconds: float) -> None:
    """Two parts are told, so what is left out is less than the second one's unit."""
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.05, abs=0.5)
