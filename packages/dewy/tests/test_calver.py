"""Versions by the calendar."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.calver import calendar_parser
from dewy.choose import Rules, newest
from dewy.errors import UsageError
from dewy.types import ListedVersion


@pytest.mark.parametrize(
    ("form", "versions", "others"),
    [
        (
            "YYYY.0M.0D.MICRO",
            "2026.03.15.2 v2026.12.31.0 2026.03.15.2-rc.1+linux",
            "2026.3.15.2 26.03.15.2 2026.13.01.0 1.2.3",
        ),
        ("YYYY.MM.DD", "2026.3.5 2026.12.31", "2026.03.05 2026.0.1 2026.3.32 2026.3"),
        ("YY.MM", "26.4 v6.10", "2026.4 26.04"),
        ("0Y.0M", "06.04 26.10", "6.04 26.4"),
        ("YYYY.0W", "2026.01 2026.53", "2026.1 2026.54 2026.00"),
        ("YYYY-WW.MICRO", "2026-1.0 2026-53.12", "2026.1.0 2026-01.0"),
        ("release-YYYY0M0D", "release-20260315", "20260315 release-2026315"),
        ("vYYYY.MICRO", "v2026.1 2026.1", "v2026"),
    ],
)
def test_a_format_tells_which_tags_are_versions(form: str, versions: str, others: str) -> None:
    parse = calendar_parser(form)
    assert [tag for tag in versions.split() if parse(tag) is None] == []
    assert [tag for tag in others.split() if parse(tag) is not None] == []


@pytest.mark.parametrize("form", ["", "1.2.3", "v", "date"])
def test_a_format_without_a_token_is_refused(form: str) -> None:
    with pytest.raises(UsageError, match="has no token"):
        calendar_parser(form)


def test_they_are_ordered_by_segment_and_pre_releases_come_before() -> None:
    parse = calendar_parser("YY.MM.MICRO")
    ordered = [
        "9.12.0",
        "26.2.0-rc.9",
        "26.2.0-rc.10",
        "26.2.0",
        "26.2.0+1",
        "26.10.0-alpha",
        "26.10.0",
        "26.10.2",
        "26.10.11",
    ]
    versions = [version for tag in ordered if (version := parse(tag))]
    assert len(versions) == len(ordered)
    assert all(one < other for one, other in pairwise(versions))


def test_the_newest_is_the_same_for_every_order_of_the_list() -> None:
    rules = Rules(parse=calendar_parser("YYYY.0M.MICRO"), pre_release=False)
    listed = [ListedVersion(tag) for tag in ("2026.03.0", "v2026.03.0", "2026.04.1-rc.1", "2025.12.9", "v9.9.9")]
    assert {newest(order, rules) for order in permutations(listed)} == {ListedVersion("v2026.03.0")}


@given(st.text(max_size=40))
def test_no_tag_raises(tag: str) -> None:
    calendar_parser("YYYY.0M.0D.MICRO")(tag)
