"""Release directories and the ``current`` symlink."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dewy.errors import DewyError
from dewy.releases import ReleaseDirectories

NOW = datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC)


def make(releases: ReleaseDirectories, name: str, content: str = "x") -> None:
    with releases.incoming(name) as path:
        path.mkdir()
        (path / "app").write_text(content)


@pytest.fixture
def releases(tmp_path: Path) -> ReleaseDirectories:
    releases = ReleaseDirectories(tmp_path)
    releases.prepare()
    return releases


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_a_release_is_named_by_its_time_and_never_twice(releases: ReleaseDirectories) -> None:
    assert releases.new_name(NOW) == "20240315T143022Z"
    make(releases, "20240315T143022Z")
    assert releases.new_name(NOW) == "20240315T143023Z"


def test_a_release_is_named_later_than_every_other_whatever_the_clock_says(releases: ReleaseDirectories) -> None:
    """Names tell which releases are old: one that is removed, or a clock that was set back, must not confuse them."""
    for name in ("20240315T143023Z", "20300101T000000Z"):
        make(releases, name)
        assert releases.new_name(NOW) > name


def test_a_release_appears_only_when_it_is_whole(releases: ReleaseDirectories) -> None:
    def fail() -> None:
        with releases.incoming("20240315T143022Z") as path:
            path.mkdir()
            (path / "half").write_text("x")
            assert "20240315T143022Z" not in names(releases.folder)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(releases.folder) == []


def test_current_is_a_relative_symlink_that_is_replaced(releases: ReleaseDirectories, tmp_path: Path) -> None:
    make(releases, "20240101T000000Z", "one")
    make(releases, "20240102T000000Z", "two")
    releases.switch("20240101T000000Z")
    assert (tmp_path / "current").readlink() == Path("releases/20240101T000000Z")
    releases.switch("20240102T000000Z")
    assert (tmp_path / "current" / "app").read_text() == "two"
    assert releases.current() == "20240102T000000Z"
    assert names(tmp_path) == ["current", "releases"]


def test_a_current_that_leads_nowhere_or_elsewhere_is_none_of_ours(releases: ReleaseDirectories, tmp_path: Path) -> None:
    assert releases.current() is None
    for target in ("releases/20240101T000000Z", "/etc", "..", "releases"):
        (tmp_path / "current").unlink(missing_ok=True)
        (tmp_path / "current").symlink_to(target)
        assert releases.current() is None


def test_a_directory_named_current_is_refused(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(DewyError, match="current is not a symlink"):
        ReleaseDirectories(tmp_path).prepare()


def test_what_a_killed_dewy_left_half_done_is_taken_away(releases: ReleaseDirectories, tmp_path: Path) -> None:
    make(releases, "20240101T000000Z")
    for left in (".incoming-20240102T000000Z", ".removing-20231231T000000Z"):
        (releases.folder / left / "deep").mkdir(parents=True)
    (tmp_path / ".current.next").symlink_to("releases/20240102T000000Z")
    releases.prepare()
    assert names(releases.folder) == ["20240101T000000Z"]
    assert names(tmp_path) == ["releases"]


def test_old_releases_go_but_never_a_needed_one(releases: ReleaseDirectories) -> None:
    days = [f"2024010{day}T000000Z" for day in range(1, 8)]
    for day in days:
        make(releases, day)
    (releases.folder / "notes").mkdir()
    releases.switch(days[0])
    assert releases.old(3, {days[2]}) == [days[1], days[3]]
    assert releases.old(7, ()) == []


def test_the_current_release_cannot_be_removed(releases: ReleaseDirectories) -> None:
    make(releases, "20240101T000000Z")
    releases.switch("20240101T000000Z")
    with pytest.raises(DewyError, match="is current"):
        releases.remove("20240101T000000Z")
    releases.switch(None)
    releases.remove("20240101T000000Z")
    releases.remove("20240101T000000Z")
    assert names(releases.folder) == []


def test_on_a_full_disk_current_goes_back_by_the_spare_link(
    releases: ReleaseDirectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = "20240101T000000Z", "20240102T000000Z"
    for name in (one, two):
        make(releases, name)
    releases.switch(one)
    releases.keep_spare(one)
    releases.switch(two)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "symlink", full)
    releases.switch(one)
    assert releases.current() == one
    with pytest.raises(OSError, match="No space left"):  # it has no spare one
        releases.switch(two)
    assert releases.current() == one


def test_a_spare_link_goes_with_its_release(releases: ReleaseDirectories, tmp_path: Path) -> None:
    one, two = "20240101T000000Z", "20240102T000000Z"
    for name in (one, two):
        make(releases, name)
        releases.keep_spare(name)
        releases.keep_spare(name)
    releases.remove(one)
    assert names(tmp_path / ".dewy" / "links") == [two]
    shutil.rmtree(releases.path(two))  # by hand, or by a dewy that was killed in between
    releases.prepare()
    assert names(tmp_path / ".dewy" / "links") == []
