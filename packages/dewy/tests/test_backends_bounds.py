"""What a cache lets go, what sizes people write, and how the file cache names its files: for every input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.backends.bounds import Bounds, Entry, surplus
from dewy.backends.cachenames import encoded, file_name, is_long, key_of
from dewy.sizes import parse_size

ENTRIES = st.lists(
    st.builds(Entry, st.text("abcdefgh", max_size=3), st.integers(0, 100), st.integers(0, 5)),
    unique_by=lambda entry: entry.key,
)
BOUNDS = st.builds(Bounds, st.integers(1, 10), st.integers(1, 500))
KEYS = st.text(st.characters(codec=None), min_size=1, max_size=512)


@given(ENTRIES, BOUNDS, st.sets(st.text("abcdefgh", max_size=3)))
def test_what_stays_is_within_the_bounds_or_is_all_spared_and_nothing_goes_needlessly(
    entries: list[Entry], bounds: Bounds, spare: set[str]
) -> None:
    gone = surplus(entries, bounds, spare)
    stays = [entry for entry in entries if entry.key not in gone]
    assert not spare & set(gone)
    within = len(stays) <= bounds.keep and sum(entry.size for entry in stays) <= bounds.size
    assert within or all(entry.key in spare for entry in stays)
    if gone:
        with_last = [*stays, next(entry for entry in entries if entry.key == gone[-1])]
        assert len(with_last) > bounds.keep or sum(entry.size for entry in with_last) > bounds.size


@given(ENTRIES, BOUNDS)
def test_nothing_goes_that_was_used_later_than_something_that_stays(entries: list[Entry], bounds: Bounds) -> None:
    gone = surplus(entries, bounds)
    used = {entry.key: entry.used for entry in entries}
    stays = [used[entry.key] for entry in entries if entry.key not in gone]
    assert not gone or not stays or max(used[key] for key in gone) <= min(stays)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("512", 512),
        ("64k", 65536),
        ("64 KB", 65536),
        ("500M", 500 << 20),
        ("5GiB", 5 << 30),
        ("1t", 1 << 40),
        ("7B", 7),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0G", "-1", "1.5G", "G", "5X", "5 G B", "inf", "9" * 400, "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@given(KEYS)
def test_a_file_name_is_one_that_every_file_system_takes_and_gives_its_key_back(key: str) -> None:
    name = file_name(key)
    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= 255
    assert "/" not in name
    assert not name.startswith((".", " "))
    assert name not in ("current", "CACHEDIR.TAG")
    assert key_of(encoded(key)) == key
    assert is_long(name) or key_of(name) == key


@given(KEYS, KEYS)
def test_different_keys_have_different_file_names(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


@pytest.mark.parametrize("key", ["v1.4.0--app_linux_amd64.tar.gz", "v1.0.0-rc.1+build.5--my app (1).zip", "1.0--a@b~c=d,e"])
def test_a_key_as_dewy_uses_them_is_its_own_file_name(key: str) -> None:
    assert file_name(key) == key


@given(st.text())
def test_a_name_that_no_key_has_gives_none(name: str) -> None:
    key = key_of(name)
    assert key is None or encoded(key) == name
