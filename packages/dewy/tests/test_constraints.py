"""Ranges of versions that are never left."""

from __future__ import annotations

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from dewy.choose import Rules, newest, nothing_to_run
from dewy.constraints import parse_constraint
from dewy.errors import UsageError
from dewy.types import ListedVersion

numbers = st.integers(0, 4)
versions = st.builds(semver.Version, numbers, numbers, numbers, st.none() | st.sampled_from(["0", "alpha", "rc.1"]))


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        (">=1.4,<2", "1.4.0 1.4.1 1.99.0", "1.3.9 1.4.0-rc.1 2.0.0 2.0.0-rc.1"),
        ("~1.4", "1.4.0 1.4.9", "1.3.9 1.5.0 1.5.0-rc.1"),
        ("~1.4.2", "1.4.2 1.4.9", "1.4.1 1.5.0"),
        ("~1", "1.0.0 1.9.9", "0.9.9 2.0.0"),
        ("^1.4", "1.4.0 1.9.9", "1.3.9 2.0.0 2.0.0-rc.1"),
        ("^0.2", "0.2.0 0.2.9", "0.1.0 0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.2 0.0.4"),
        ("^0", "0.0.0 0.9.0", "1.0.0"),
        ("1.4.x", "1.4.0 1.4.9", "1.3.0 1.5.0"),
        ("1.4", "1.4.0 1.4.9", "1.5.0"),
        ("1.X", "1.0.0 1.9.0", "2.0.0 0.9.0"),
        ("*", "0.0.1 9.9.9 1.0.0-rc.1", ""),
        ("=1.4.2", "1.4.2 1.4.2+linux", "1.4.3 1.4.1 1.4.2-rc.1"),
        ("v1.4.2", "1.4.2", "1.4.3 1.4.3-rc.1"),
        ("1.4.2-rc.1", "1.4.2-rc.1", "1.4.2 1.4.2-rc.2"),
        (">1.4", "1.5.0 2.0.0", "1.4.0 1.4.9 1.5.0-rc.1"),
        (">1.4.2", "1.4.3 2.0.0", "1.4.2 1.4.1"),
        ("<=1.4", "1.4.0 1.4.9 1.0.0", "1.5.0 1.5.0-rc.1"),
        ("<=1.4.2", "1.4.2 1.4.2-rc.1", "1.4.3 1.4.3-rc.1"),
        ("<1.4.0-rc.2", "1.4.0-rc.1 1.3.0", "1.4.0-rc.2 1.4.0"),
        ("^1, !=1.5.0, != 1.6.x", "1.4.0 1.5.1 1.7.0", "1.5.0 1.6.0 1.6.9 2.0.0"),
        (" >= 1.4 , < 1.6 ", "1.4.0 1.5.9", "1.6.0"),
    ],
)
def test_a_range_has_what_it_says(constraint: str, inside: str, outside: str) -> None:
    parsed = parse_constraint(constraint)
    assert [text for text in inside.split() if not parsed.allows(semver.Version.parse(text))] == []
    assert [text for text in outside.split() if parsed.allows(semver.Version.parse(text))] == []


@pytest.mark.parametrize(
    "text", ["", ",", ">=", "1.4,", "one", "1.4.5.6", "=>1", "~>1.4", "^1.4-rc.1", "1.4.0-", "01.4..0", "1.4.0-01"]
)
def test_what_is_no_range_is_refused_with_what_it_takes(text: str) -> None:
    with pytest.raises(UsageError, match=r"--constraint .*It takes comparators such as >=1\.4,<2"):
        parse_constraint(text)


@given(versions, versions)
def test_comparators_agree_with_the_order_of_versions(bound: semver.Version, version: semver.Version) -> None:
    assert parse_constraint(f">={bound}").allows(version) == (version >= bound)
    assert parse_constraint(f"={bound}").allows(version) == (version == bound)
    assert parse_constraint(f"!={bound}").allows(version) == (version != bound)
    assert parse_constraint(f"<={bound}").allows(version) == (version <= bound)
    assert parse_constraint(f">{bound}").allows(version) >= (version > bound and version.prerelease is None)
    if version.prerelease is None:
        assert parse_constraint(f"<{bound}").allows(version) == (version < bound)
    assert not (parse_constraint(f"<{bound}").allows(version) and version >= bound)


def test_the_newest_is_picked_within_the_range_and_the_slot() -> None:
    listed = [
        ListedVersion(tag) for tag in ("v1.4.0", "v1.5.0+blue", "v1.6.0+green", "v1.7.0", "v2.0.0+blue", "v1.8.0-rc.1")
    ]

    def found(rules: Rules) -> str | None:
        version = newest(listed, rules)
        return version.tag if version else None

    assert found(Rules(constraint=parse_constraint("^1"))) == "v1.7.0"
    assert found(Rules(constraint=parse_constraint("^1"), pre_release=True)) == "v1.8.0-rc.1"
    assert found(Rules(slot="blue")) == "v2.0.0+blue"
    assert found(Rules(slot="blue", constraint=parse_constraint("<2"))) == "v1.5.0+blue"
    red = Rules(slot="red")
    assert found(red) is None
    assert "no version in the slot red" in str(nothing_to_run(listed, red))
    high = Rules(constraint=parse_constraint(">=3"))
    assert found(high) is None
    assert "no version in the range >=3" in str(nothing_to_run(listed, high))
