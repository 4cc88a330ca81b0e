"""From lists to one release: the newest version (R25), its artifact (R27), the grace (R28), and why there is none."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.choose import GRACE, Rules, artifact_of, newest, nothing_to_run, release_of
from dewy.errors import RegistryError, ReleasePending
from dewy.types import ListedFile, ListedVersion, Platform

NOW = datetime(2024, 3, 15, 14, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
LINUX = Platform("linux", "amd64")
RULES = Rules()
STAGING = Rules(pre_release=True)

AUDIT_ENTRY = "shipped_to_web-1_server_at_20240315T143022.123456789Z.txt"


def listed(*tags: str, published: datetime | None = LONG_AGO) -> list[ListedVersion]:
    return [ListedVersion(tag, published) for tag in tags]


def files(*names: str, modified: datetime | None = None) -> list[ListedFile]:
    return [ListedFile(name, f"https://store.test/{name}", modified=modified) for name in names]


def version(published: datetime | None = LONG_AGO) -> ListedVersion:
    return ListedVersion("v1.2.3", published)


def chosen(*names: str, rules: Rules = RULES) -> str:
    return artifact_of(version(), files(*names), LINUX, rules, NOW).name


def newest_tag(*tags: str, rules: Rules = RULES) -> str | None:
    found = newest(listed(*tags), rules)
    return found.tag if found else None


def refused(*names: str, rules: Rules = RULES, published: datetime | None = LONG_AGO) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        artifact_of(version(published), files(*names), LINUX, rules, NOW)
    assert not raised.value.message.endswith(".")
    return raised.value


# ------------------------------------------------------------------------------------------------------------ the version


def test_the_newest_is_the_highest_by_precedence() -> None:
    assert newest_tag("v1.9.0", "v1.10.0", "v1.2.0") == "v1.10.0"


def test_pre_releases_count_only_when_asked_for() -> None:
    tags = ("v1.0.0", "v1.1.0-rc.9", "v1.1.0-rc.10")
    assert newest_tag(*tags) == "v1.0.0"
    assert newest_tag(*tags, rules=STAGING) == "v1.1.0-rc.10"
    assert newest_tag(*tags, "v1.1.0", rules=STAGING) == "v1.1.0"


def test_with_and_without_v_are_one_series() -> None:
    assert newest_tag("v1.0.0", "1.1.0", "v1.0.5") == "1.1.0"


def test_what_is_no_version_is_passed_over() -> None:
    assert newest_tag("nightly", "9.9", "v1.0.0", "backup", "") == "v1.0.0"
    assert newest_tag("nightly", "latest") is None
    assert newest_tag() is None


def test_it_is_the_listed_version_with_its_facts() -> None:
    assert newest([ListedVersion("v1.0.0", NOW)], RULES) == ListedVersion("v1.0.0", NOW)


def test_one_tag_listed_twice_is_the_later_one() -> None:
    twice = [ListedVersion("v1.0.0", None), ListedVersion("v1.0.0", NOW), ListedVersion("v1.0.0", LONG_AGO)]
    assert newest(twice, RULES) == newest(twice[::-1], RULES) == ListedVersion("v1.0.0", NOW)


def test_a_time_without_a_zone_does_no_harm() -> None:
    twice = [ListedVersion("v1.0.0", NOW.replace(tzinfo=None)), ListedVersion("v1.0.0", LONG_AGO)]
    assert newest(twice, RULES) == twice[0]


def test_an_empty_registry_is_said_to_be_so() -> None:
    assert str(nothing_to_run([], RULES)) == "the registry has no versions. Publish one, v1.0.0 say"


def test_names_that_are_no_versions_are_told() -> None:
    error = nothing_to_run(listed("nightly", "latest"), RULES)
    assert error.message == "the registry has no version of the form asked for among latest, nightly"
    assert "1.4.0" in error.hint


def test_pre_releases_that_are_not_asked_for_are_told() -> None:
    error = nothing_to_run(listed("v1.0.0-rc.1", "v1.0.0-rc.2", "nightly"), RULES)
    assert error.message == "the registry has only pre-releases: v1.0.0-rc.2, v1.0.0-rc.1"
    assert "pre-release=true" in error.hint


def test_versions_that_were_all_deleted_are_not_said_to_be_pre_releases() -> None:
    error = nothing_to_run(listed("v1.0.0", "v1.1.0", "v2.0.0-rc.1"), RULES)
    assert error.message.endswith("have no files, as if they were deleted: v1.1.0, v1.0.0")


@given(st.lists(st.sampled_from(["1.0.0", "v1.0.0", "v1.0.0+1", "v1.0.0+2", "v2.0.0-rc.1", "x", "0.9.0"])), st.randoms())
def test_the_order_of_the_list_does_not_matter_to_the_version(tags: list[str], random: random.Random) -> None:
    shuffled = random.sample(tags, len(tags))
    for rules in (RULES, STAGING):
        assert newest(listed(*tags), rules) == newest(listed(*shuffled), rules)
        assert str(nothing_to_run(listed(*tags), rules)) == str(nothing_to_run(listed(*shuffled), rules))


# ----------------------------------------------------------------------------------------------------------- the artifact


def test_the_one_that_fits_the_platform_is_taken() -> None:
    assert chosen("app_linux_amd64.tar.gz", "app_linux_arm64.tar.gz", "checksums.txt") == "app_linux_amd64.tar.gz"


def test_the_named_one_is_taken_whatever_its_name_says() -> None:
    assert chosen("app_linux_amd64.tar.gz", "app.jar", rules=Rules(artifact="app.jar")) == "app.jar"


def test_audit_entries_are_never_artifacts() -> None:
    assert chosen("app.tar.gz", AUDIT_ENTRY) == "app.tar.gz"
    error = refused("app.tar.gz", AUDIT_ENTRY, rules=Rules(artifact=AUDIT_ENTRY))
    assert "its files are app.tar.gz" in error.message


@pytest.mark.parametrize(
    "name",
    [
        *("../app.tar.gz", "a/app.tar.gz", "a\\app.tar.gz", "app\0.tar.gz", "..", ".", "", ".app.tar.gz", "-rf.tar.gz"),
        *("a..b.tar.gz", "a" * 300 + ".tar.gz", "ä" * 128, "app\n.tar.gz", "app\u202e.tar.gz", "\ud800.tar.gz"),
    ],
)
def test_a_hostile_name_is_never_chosen(name: str) -> None:
    """Neither by itself nor when the user asks for it; and it does not stand in the way of others."""
    assert "has no file" in refused(name).message
    assert "has no file" in refused(name, rules=Rules(artifact=name)).message
    assert chosen(name, "app.tar.gz") == "app.tar.gz"


def test_two_that_fit_equally_well_are_named_with_the_cure() -> None:
    error = refused("client_linux_amd64.tar.gz", "server_linux_amd64.tar.gz", "checksums.txt")
    assert error.message == (
        "v1.2.3 has 2 files that fit linux/amd64 equally well: client_linux_amd64.tar.gz, server_linux_amd64.tar.gz"
    )
    assert error.hint == "Say which one with artifact= in the registry URL, as in artifact=client_linux_amd64.tar.gz"


def test_two_that_fit_equally_well_are_an_error_also_when_the_version_is_new() -> None:
    assert not isinstance(refused("a.tar.gz", "b.tar.gz", published=NOW), ReleasePending)


def test_a_missing_artifact_is_told_with_what_is_there() -> None:
    error = refused("app_darwin_arm64.tar.gz", "checksums.txt")
    assert error.message == (
        "v1.2.3 has no file that is known to fit linux/amd64: its files are app_darwin_arm64.tar.gz, checksums.txt"
    )
    assert "artifact=" in error.hint


def test_a_named_artifact_that_is_missing_is_told_with_what_is_there() -> None:
    error = refused("app.tar.gz", rules=Rules(artifact="aap.tar.gz"))
    assert error.message == "v1.2.3 has no file aap.tar.gz: its files are app.tar.gz"
    assert "artifact=" in error.hint


def test_a_version_without_files_is_told() -> None:
    assert refused().message == "v1.2.3 has no file that is known to fit linux/amd64: it has no files"


def test_long_lists_and_long_names_are_cut_short() -> None:
    error = refused(*(f"page-{number:04}-{'x' * 200}.html" for number in range(5000)))
    assert "and 4992 more" in error.message
    assert len(error.message) < 1500


def test_a_name_cannot_break_the_line_of_an_error() -> None:
    error = refused("app.txt", rules=Rules(artifact="a\n\x1b[31mb"))
    assert error.message.isprintable()


def test_a_name_listed_twice_is_one_file() -> None:
    twice = [ListedFile("app.tar.gz", "https://b.test/"), ListedFile("app.tar.gz", "https://a.test/")]
    for both in (twice, twice[::-1]):
        assert artifact_of(version(), both, LINUX, RULES, NOW).url == "https://a.test/"


@given(
    st.lists(st.sampled_from(["app.tar.gz", "app_linux_amd64.zip", "b_linux_amd64.zip", AUDIT_ENTRY, "x.txt", "../y"])),
    st.randoms(),
)
def test_the_order_of_the_list_does_not_matter_to_the_artifact(names: list[str], random: random.Random) -> None:
    def answer(names: list[str]) -> str:
        try:
            return artifact_of(version(), files(*names), LINUX, RULES, NOW).name
        except RegistryError as error:
            return str(error)

    assert answer(names) == answer(random.sample(names, len(names)))
    assert answer(names) == answer([*names, AUDIT_ENTRY.replace("web-1", "linux_amd64")])


# --------------------------------------------------------------------------------------------------------------- the grace


@pytest.mark.parametrize(
    ("age", "pending"),
    [
        (timedelta(0), True),
        (GRACE - timedelta(seconds=1), True),
        (GRACE, False),
        (timedelta(days=400), False),
        (-timedelta(minutes=5), True),
        (-GRACE, False),
        (-timedelta(days=365_000), False),
    ],
)
@pytest.mark.parametrize("rules", [RULES, Rules(artifact="app.tar.gz")])
def test_a_missing_artifact_is_pending_for_half_an_hour(age: timedelta, pending: bool, rules: Rules) -> None:
    """A publication far in the future, which a wrong clock or a hostile store may state, gives no grace without end."""
    error = refused("checksums.txt", rules=rules, published=NOW - age)
    assert isinstance(error, ReleasePending) == pending


def test_without_a_publication_the_last_file_counts() -> None:
    def raised(*modified: datetime | None) -> RegistryError:
        listing = [ListedFile(f"{at}.txt", "file:///x", modified=at) for at in modified]
        with pytest.raises(RegistryError) as raised:
            artifact_of(version(None), listing, LINUX, RULES, NOW)
        return raised.value

    assert isinstance(raised(LONG_AGO, NOW), ReleasePending)
    assert isinstance(raised(NOW.replace(tzinfo=None)), ReleasePending)
    assert not isinstance(raised(LONG_AGO, LONG_AGO), ReleasePending)
    assert not isinstance(raised(), ReleasePending)
    assert not isinstance(raised(None), ReleasePending)


def test_an_audit_entry_does_not_prolong_the_grace() -> None:
    """Hosts of another platform write theirs at any time."""
    listing = [*files("notes.txt", modified=LONG_AGO), *files(AUDIT_ENTRY, modified=NOW)]
    with pytest.raises(RegistryError) as raised:
        artifact_of(version(None), listing, LINUX, RULES, NOW)
    assert not isinstance(raised.value, ReleasePending)


def test_the_time_may_be_of_any_zone() -> None:
    error = refused("x.txt", published=(NOW - timedelta(minutes=5)).replace(tzinfo=None))
    assert isinstance(error, ReleasePending)


# ------------------------------------------------------------------------------------------------------------- the release


def test_the_release_has_all_that_the_listing_states() -> None:
    file = ListedFile("a.tgz", "https://x.test/a.tgz", size=7, digest="sha256:ab", fingerprint="etag", modified=NOW)
    release = release_of(ListedVersion("v1.0.0", NOW), file)
    assert (release.version, release.artifact, release.url, release.size) == ("v1.0.0", "a.tgz", "https://x.test/a.tgz", 7)
    assert (release.digests, release.fingerprint, release.published) == (("sha256:ab",), "etag", NOW)


def test_a_listing_without_a_digest_states_none() -> None:
    assert release_of(version(), files("a.tgz")[0]).digests == ()
