"""The names and texts of audit entries (R29), dewy's and those of the original tool."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.audit import AuditEntry, entry_content, entry_name, is_entry, parse_entry
from dewy.types import Command, Release, Report

AT = datetime(2024, 3, 15, 14, 30, 22, 123456, tzinfo=UTC)


def report(host: str = "web-1", command: Command = "server", at: datetime = AT, **facts: object) -> Report:
    release = {"version": "v1.2.3", "artifact": "app.tar.gz", "url": "file:///srv/app.tar.gz", **facts}
    return Report(release=Release(**release), command=command, host=host, at=at)  # type: ignore[arg-type]


def test_the_name_is_the_original_tools_form() -> None:
    assert entry_name(report()) == "shipped_to_web-1_server_at_20240315T143022.123456000Z.txt"


@pytest.mark.parametrize(
    ("name", "host", "command", "at"),
    [
        ("shipped_to_web-1_server_at_20240315T143022.123456789Z.txt", "web-1", "server", AT),
        ("shipped_to_web-1_assets_at_20240315T143022Z.txt", "web-1", "assets", AT.replace(microsecond=0)),
        ("shipped_to_web-1_at_20240315T143022Z.txt", "web-1", "", AT.replace(microsecond=0)),
        ("shipped_to_web-1_container_at_20240315T143022Z.txt", "web-1", "container", AT.replace(microsecond=0)),
        ("shipped_to_a_b_server_server_at_20240315T143022.5Z.txt", "a_b_server", "server", AT.replace(microsecond=500000)),
        ("shipped_to_x_at_y_server_at_20240315T143022Z.txt", "x_at_y", "server", AT.replace(microsecond=0)),
        ("shipped_to_server_at_20240315T143022Z.txt", "server", "", AT.replace(microsecond=0)),
        ("shipped_to_büro_server_at_20240315T143022Z.txt", "büro", "server", AT.replace(microsecond=0)),
    ],
)
def test_names_of_all_times_are_read(name: str, host: str, command: str, at: datetime) -> None:
    """The original has written names without a fraction of a second, and without the command."""
    assert parse_entry(name) == AuditEntry(host, command, at)


@pytest.mark.parametrize(
    "name",
    [
        *("", "app.tar.gz", "shipped_to_.txt", "shipped_to__at_20240315T143022Z.txt", "shipped_to_web.txt"),
        *("shipped_to_web_server_at_20240315T143022Z", "shipped_to_web_server_at_20241315T143022Z.txt"),
        *("shipped_to_web_server_at_20240315T143022Z.txt\n", "shipped_to_web_server_at_20240315T143022.Z.txt"),
        *("shipped_to_web_server_at_\uff120240315T143022Z.txt", "x_shipped_to_web_server_at_20240315T143022Z.txt"),
        *("shipped_to_web_server_at_20240315T143022+0100.txt", "shipped_to_web_server_at_00000315T143022Z.txt"),
    ],
)
def test_other_files_are_no_entries(name: str) -> None:
    assert not is_entry(name)


def test_the_content_has_the_sentence_and_the_facts() -> None:
    assert entry_content(report(digests=("sha256:ab", "md5:cd"))) == (
        "shipped to web-1 server at 20240315T143022.123456000Z\n"
        "version: v1.2.3\nartifact: app.tar.gz\ndigest: sha256:ab\ndigest: md5:cd\n"
    )


def test_a_fact_cannot_add_a_line_of_its_own() -> None:
    content = entry_content(report(artifact="app\ndigest: sha256:00\u2028x"))
    assert len(content.splitlines()) == 3


def test_a_host_with_odd_characters_makes_a_plain_file_name() -> None:
    name = entry_name(report(host="../Wëb 1/x" + "y" * 300))
    assert name.startswith("shipped_to_..-w-b-1-xyyy")
    assert "/" not in name
    assert len(name) < 255


@pytest.mark.parametrize("at", [AT.replace(tzinfo=None), AT.astimezone(timezone(timedelta(hours=9)))])
def test_the_time_is_utc(at: datetime) -> None:
    """Whatever zone it was given in; one without a zone is taken as UTC."""
    assert entry_name(report(at=at)) == entry_name(report())


@given(
    st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True),
    st.sampled_from(["server", "assets"]),
    st.datetimes(timezones=st.just(UTC)),
)
def test_what_is_written_is_read_back(host: str, command: Command, at: datetime) -> None:
    assert parse_entry(entry_name(report(host, command, at))) == AuditEntry(host, command, at)


@given(st.text(), st.datetimes())
def test_every_report_makes_a_name_that_is_an_entry(host: str, at: datetime) -> None:
    name = entry_name(report(host, at=at))
    assert is_entry(name)
    assert name.isascii()
    assert "/" not in name
    assert len(name) <= 255


@given(st.text(max_size=80))
def test_no_name_makes_it_raise(name: str) -> None:
    assert is_entry(name) == (parse_entry(name) is not None)
