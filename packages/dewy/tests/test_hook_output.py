"""What a hook prints, on its way into the log."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dewy.hooks.output import LEFT_OUT, MOST_LINE, MOST_LINES, MOST_OUTPUT, MOST_TOLD, HookOutput
from dewy.redaction import Redactor

SECRET = "correct-horse-battery-staple"
LONG = SECRET * 8
"""What is cut off by bytes may all the same be short enough to be shown, once secrets like this are replaced in it."""


class Told:
    """A hook's output with one secret in it, and the lines that were told of it."""

    def __init__(self, *secrets: str) -> None:
        redactor = Redactor()
        redactor.add(*secrets or (SECRET,))
        self.lines: list[str] = []
        self.output = HookOutput(redactor, self.lines.append)

    def add(self, *pieces: bytes) -> str:
        for piece in pieces:
            self.output.add(piece)
        return self.output.end()


def halves(text: str) -> bool:
    """Whether ten characters or more of the secret stand in a text."""
    return any(SECRET[start : start + 10] in text for start in range(len(SECRET) - 9))


def test_a_line_is_told_as_soon_as_it_is_whole() -> None:
    told = Told()
    told.output.add(b"migrating\nstep 1")
    assert told.lines == ["migrating"]
    told.output.add(b" of 2\n")
    assert told.lines == ["migrating", "step 1 of 2"]


def test_a_last_line_without_an_end_is_told_too() -> None:
    told = Told()
    assert told.add(b"one\ntw", b"o") == "one\ntwo"
    assert told.lines == ["one", "two"]


def test_empty_lines_are_not_told_and_windows_line_ends_do_not_show() -> None:
    told = Told()
    told.add(b"\n\na\r\n\r\nb\n")
    assert told.lines == ["a", "b"]


def test_what_is_no_text_is_harmless() -> None:
    told = Told()
    told.add(b"\xff\xfe\x00 \x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b31m a\tb\rc \xe2\x80\xae\n")
    (line,) = told.lines
    assert line.isprintable()
    assert "red" in line
    assert "[31m" not in line.partition("title")[0]


def test_a_secret_in_two_pieces_is_one_secret() -> None:
    for cut in range(1, len(SECRET)):
        told = Told()
        end = told.add(f"password={SECRET[:cut]}".encode(), f"{SECRET[cut:]}.\n".encode())
        assert told.lines == ["password=***."]
        assert end == "password=***."


def test_a_secret_in_colours_is_a_secret() -> None:
    told = Told()
    told.add(f"\x1b[1m{SECRET[:9]}\x1b[0m{SECRET[9:]}\n".encode())
    assert told.lines == ["***"]


def test_a_secret_of_several_lines_is_not_told_line_by_line() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n  AgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----\n"
    told = Told(key)
    told.add(b"using this key:\n", key.encode(), b"done\n")
    assert told.lines == ["using this key:", "***", "***", "  ***", "***", "done"]


def test_no_half_of_a_secret_is_told_where_a_long_line_is_cut() -> None:
    for before in range(MOST_LINE - 40, MOST_LINE + 5):
        told = Told()
        told.add(b"x" * before + SECRET.encode() + b"y" * 50_000 + b"\n")
        (line,) = told.lines
        assert len(line) <= MOST_LINE + 2
        assert line.endswith(" …")
        assert not halves(line)


def test_no_half_of_a_secret_is_told_where_many_secrets_make_a_line_longer_than_is_read() -> None:
    for before in range(0, len(LONG), 10):
        told = Told(LONG)
        told.add(b"x" * before + LONG.encode() * 5000 + b"\n")
        assert not halves(told.lines[0])


def test_no_half_of_a_secret_is_kept_where_the_beginning_is_cut_off() -> None:
    for size in range(300_000, 300_000 + len(SECRET)):
        told = Told()
        end = told.add(b"\n".join([SECRET.encode()] * 20_000)[-size:], b"\nthe end")
        assert not halves(end)
        assert end.endswith("***\n***\nthe end")


def test_no_half_of_a_secret_is_kept_where_the_beginning_of_one_long_line_is_cut_off() -> None:
    for after in range(0, len(LONG) + 100, 10):
        end = Told(LONG).add((LONG + "-" * 100).encode() * 1000, b"x" * after)
        assert not halves(end)
        assert end.count("***") > 20


def test_at_most_so_many_lines_are_told_and_then_that_there_are_more() -> None:
    told = Told()
    end = told.add(*(b"line %d\n" % number for number in range(3 * MOST_LINES)))
    assert told.lines[:-1] == [f"line {number}" for number in range(MOST_LINES - 1)]
    assert told.lines[-1] == LEFT_OUT
    assert end.endswith(f"\nline {3 * MOST_LINES - 1}"), "its end is kept"


def test_what_is_just_within_the_bounds_is_told_whole() -> None:
    told = Told()
    told.add(b"".join(b"line %d\n" % number for number in range(MOST_LINES - 1)))
    assert LEFT_OUT not in told.lines
    assert len(told.lines) == MOST_LINES - 1


def test_at_most_so_many_characters_are_told() -> None:
    told = Told()
    told.add(*[b"x" * 900 + b"\n"] * 200)
    assert sum(map(len, told.lines[:-1])) <= MOST_TOLD
    assert told.lines[-1] == LEFT_OUT
    assert told.lines.count(LEFT_OUT) == 1


def test_the_end_is_kept_and_says_what_it_is_the_end_of() -> None:
    told = Told()
    end = told.add(*[b"x" * 65536] * 20, b"\nthe end\n")
    assert end.startswith(f"[the end of {20 * 65536 + 9} bytes]\nxxx")
    assert end.endswith("\nthe end")
    assert len(end) <= MOST_OUTPUT + 100
    assert told.output.size == 20 * 65536 + 9


def test_a_text_of_long_characters_is_cut_between_two_of_them() -> None:
    assert "\ufffd" not in Told().add("é".encode() * 200_000 + b"!").removesuffix("!")[100:]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_however_it_comes_the_same_is_told(pieces: list[bytes]) -> None:
    """Pieces are an accident of timing."""
    at_once, bit_by_bit = Told(), Told()
    assert at_once.add(b"".join(pieces)) == bit_by_bit.add(*pieces)
    assert at_once.lines == bit_by_bit.lines
    assert all(line.isprintable() and line for line in at_once.lines)


@given(st.text(st.sampled_from("ab\n\x1b[m\t")), st.integers(0, 200), st.integers(1, 60))
def test_the_secret_never_gets_out_whole_or_half(noise: str, at: int, step: int) -> None:
    told = Told()
    text = (noise[:at] + SECRET + noise[at:]).encode()
    end = told.add(*(text[start : start + step] for start in range(0, len(text), step)))
    assert not halves("".join(told.lines))
    assert not halves(end)
    assert re.search(r"\*\*\*", end)
