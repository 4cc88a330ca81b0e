"""The order of versions (R25): Semantic Versioning's precedence, made total."""

from __future__ import annotations

import random

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from dewy.versions import Version, parse_version

_number = st.integers(0, 10**20).map(str)
_word = st.from_regex(r"[0-9]{0,2}[a-zA-Z-][0-9a-zA-Z-]{0,4}", fullmatch=True)
_pre_release = st.lists(st.one_of(st.integers(0, 20).map(str), _word), min_size=1, max_size=3).map(".".join)
_build = st.lists(st.from_regex(r"[0-9a-zA-Z-]{1,3}", fullmatch=True), min_size=1, max_size=3).map(".".join)


@st.composite
def tags(draw: st.DrawFn) -> str:
    """Tags that are versions, many of them of equal precedence."""
    numbers = ".".join(draw(st.lists(st.one_of(st.sampled_from("012"), _number), min_size=3, max_size=3)))
    pre_release = draw(st.one_of(st.just(""), _pre_release.map(lambda text: f"-{text}")))
    build = draw(st.one_of(st.just(""), _build.map(lambda text: f"+{text}")))
    return draw(st.sampled_from(["", "v"])) + numbers + pre_release + build


def parsed(tag: str) -> Version:
    version = parse_version(tag)
    assert version is not None, tag
    return version


def in_order(tags: list[str]) -> list[str]:
    return [str(version) for version in sorted(map(parsed, tags))]


def test_precedence_is_that_of_the_specification() -> None:
    """The example of semver.org, item 11."""
    ordered = [
        *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"),
        *("1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1"),
    ]
    assert in_order(random.sample(ordered, len(ordered))) == ordered


def test_numbers_in_pre_releases_are_numbers() -> None:
    assert parsed("v1.0.0-rc.10") > parsed("v1.0.0-rc.9")


def test_numbers_are_numbers_not_texts() -> None:
    assert parsed("1.10.0") > parsed("1.9.0")


def test_tags_of_equal_precedence_have_an_order_too() -> None:
    """Build metadata by its numbers, then the spelling."""
    ordered = ["1.0.0", "v1.0.0", "1.0.0+1", "v1.0.0+1", "1.0.0+2", "1.0.0+10", "1.0.0+10.1", "1.0.0+a", "1.0.1-rc.1"]
    assert in_order(list(reversed(ordered))) == ordered


@pytest.mark.parametrize(
    "tag",
    [
        *("", "v", "latest", "nightly", "1", "1.2", "1.2.3.4", "v1.2", "vv1.2.3", "V1.2.3", "release-1.2.3", "1.2.x"),
        *("01.2.3", "1.02.3", "1.2.3-", "1.2.3+", "1.2.3-01", "1.2.3-a..b", "1.2.3+a+b", "-1.2.3", "1.2.3-ä", "1.2.3_1"),
        *(
            " 1.2.3",
            "1.2.3 ",
            "1.2.3\n",
            "\n1.2.3",
            "1.2.3\0",
            "\uff11.\uff12.\uff13",
            "\u0661.٢.٣",
            "1.2.3-rc.\u0661",
            "1.2.\u00b2",
        ),
        *("../1.2.3", "1.2.3/..", "1.2.3-" + "a" * 300, "1" * 5000 + ".0.0", "1.0.0-" + "9" * 5000, "\ud800"),
    ],
)
def test_what_is_no_version_is_passed_over(tag: str) -> None:
    assert parse_version(tag) is None


@pytest.mark.parametrize("tag", ["0.0.0", "v0.0.0-0", "1.2.3-rc.1+build.5", "1.0.0--", "9" * 200 + ".0.0", "1.2.3-0a"])
def test_what_is_a_version_is_read(tag: str) -> None:
    assert str(parsed(tag)) == tag


def test_pre_releases_and_build_metadata_are_told() -> None:
    version = parsed("v1.2.3-rc.1+blue.2")
    assert version.is_prerelease
    assert version.build == "blue.2"
    assert not parsed("v1.2.3+blue").is_prerelease
    assert parsed("v1.2.3").build == ""


def test_a_version_compares_with_versions_only() -> None:
    assert parsed("1.0.0") != "1.0.0"
    with pytest.raises(TypeError):
        assert parsed("1.0.0") < "2.0.0"


@given(st.text(max_size=40))
def test_no_text_makes_it_raise(text: str) -> None:
    version = parse_version(text)
    assert version is None or version.tag == text


@given(tags(), tags())
def test_any_two_are_ordered_one_way(one: str, other: str) -> None:
    """Total and antisymmetric."""
    a, b = parsed(one), parsed(other)
    assert (a < b) + (a > b) + (a == b) == 1
    assert (a == b) == (one == other)
    assert (a <= b) == (not b < a)
    assert hash(a) == hash(parsed(one))


@given(tags(), tags(), tags())
def test_the_order_is_transitive(one: str, two: str, three: str) -> None:
    a, b, c = sorted([parsed(one), parsed(two), parsed(three)])
    assert a <= b <= c
    assert a <= c


@given(tags(), tags())
def test_it_agrees_with_semantic_versioning(one: str, other: str) -> None:
    precedence = semver.Version.parse(one.removeprefix("v")).compare(other.removeprefix("v"))
    if precedence:
        assert (parsed(one) < parsed(other)) == (precedence < 0)


@given(st.lists(tags(), min_size=1, max_size=6, unique=True), st.randoms())
def test_every_permutation_has_the_same_greatest(listed: list[str], random: random.Random) -> None:
    shuffled = random.sample(listed, len(listed))
    assert max(map(parsed, listed)).tag == max(map(parsed, shuffled)).tag
    assert in_order(listed) == in_order(shuffled)
