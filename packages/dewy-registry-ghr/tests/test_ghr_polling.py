"""What a poll sees, and what it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dewy.catalog import CatalogRegistry
from dewy.choose import Rules
from dewy.errors import RegistryError, ReleasePending
from dewy.testing import TestContext
from dewy.types import AttachingCatalog, ListedVersion, Platform
from ghr_client import catalog_of, downloaded, tags_of
from ghr_github import OWNER, REPO_ID, GitHub
from ghr_wire import Answer, Request, of_json

LINUX = Platform("linux", "amd64")


def registry_of(catalog: AttachingCatalog, *, pre_release: bool = False) -> CatalogRegistry:
    return CatalogRegistry(catalog, Rules(pre_release=pre_release), lambda: datetime.now(UTC))


def test_hundred_polls_of_thirty_unchanged_pages_cost_nothing(github: GitHub, context: TestContext) -> None:
    """3,000 releases: after the first poll, 304s only, over one connection, and no point of the rate limit."""
    for number in range(3000):
        github.publish(f"v1.{number}.0", {"app_linux_amd64.tar.gz": b"x"})
    catalog = catalog_of(github.url, context)
    assert len(tags_of(catalog)) == 3000
    github.forget()
    github.frozen = {}
    left = github.remaining
    for _ in range(100):
        assert len(list(catalog.versions())) == 3000
    assert github.statuses() == [304] * 3000
    assert github.remaining == left
    assert len({request.connection for request, _ in github.seen}) == 1


def test_change_costs_the_changed_pages(github: GitHub, context: TestContext) -> None:
    """Not all thirty again: only what differs is sent in full."""
    for number in range(250):
        github.publish(f"v1.{number}.0", {"app": b"x"})
    catalog = catalog_of(github.url, context)
    list(catalog.versions())
    github.forget()
    github.publish("v1.0.0", {"more": b"y"})  # the oldest, on the last page
    assert {file.name for file in catalog.files(next(v for v in catalog.versions() if v.tag == "v1.0.0"))} == {"app", "more"}
    assert github.statuses().count(200) == 1


def test_release_that_moves_between_pages_is_not_missed(github: GitHub, context: TestContext) -> None:
    """A deletion while the pages are read shifts the others: what was read is read again, and nothing seems deleted."""
    for number in range(150):
        github.publish(f"v1.{number}.0", {"app": b"x"})
    catalog = catalog_of(github.url, context)

    def delete_then_answer(request: Request) -> Answer:
        github.remove("v1.149.0")
        return github._read(request, request.headers["authorization"].removeprefix("Bearer "))

    github.fail("page=2", delete_then_answer)
    assert tags_of(catalog) == {f"v1.{number}.0" for number in range(149)}


def test_proxy_that_drops_etags_costs_no_more_than_the_pages(github: GitHub, context: TestContext) -> None:
    """Also an ETag that changes with every counted download is no reason to read pages again that say the same."""
    for number in range(150):
        github.publish(f"v1.{number}.0", {"app": b"x"})

    def without_etag(request: Request) -> Answer:
        answer = github._read(request, request.headers["authorization"].removeprefix("Bearer "))
        return Answer(200, answer.body, {name: value for name, value in answer.headers.items() if name == "Link"})

    github.fail("/releases", without_etag, times=100)
    catalog = catalog_of(github.url, context)
    list(catalog.versions())
    github.forget()
    github.releases[0]["assets"][0]["download_count"] += 1
    assert len(list(catalog.versions())) == 150
    assert github.statuses() == [200, 200]


def test_heavy_releases_are_asked_for_fewer_at_a_time(github: GitHub, context: TestContext) -> None:
    """The audit entries of a large fleet: a page of 100 releases is too much to be remembered, and to be sent often."""
    for number in range(120):
        github.publish(f"v1.{number}.0", {"app": b"x"}, body="x" * 200_000)
    catalog = catalog_of(github.url, context)
    assert len(list(catalog.versions())) == 120
    assert "per_page=100" in github.requests()[0]
    assert len(list(catalog.versions())) == 120
    github.forget()
    for _ in range(2):
        assert len(list(catalog.versions())) == 120
    assert set(github.statuses()) == {304}
    assert "per_page=25" in github.requests()[0]


@pytest.mark.parametrize("answer", [Answer(504), Answer(200, b" " * (65 << 20))], ids=["for GitHub", "for the client"])
def test_page_that_is_too_much_is_asked_for_in_parts(github: GitHub, context: TestContext, answer: Answer) -> None:
    """The poll fails, the next one asks for less; once all is well again, for as much as ever."""
    github.publish("v1.0.0", {"app": b"x"})
    catalog = catalog_of(github.url, context)
    github.fail("per_page=100", answer, times=4 if answer.status == 504 else 1)
    with pytest.raises(RegistryError, match="listing the releases of example/myapp failed"):
        catalog.versions()
    for size in (50, 100, 100):
        assert tags_of(catalog) == {"v1.0.0"}
        assert f"per_page={size}" in github.requests()[-1]


def test_drafts_and_half_uploads_are_not_seen(github: GitHub, context: TestContext) -> None:
    github.publish("v1.0.0", {"app": b"1", "late": b"2"})["assets"][1]["state"] = "starter"
    github.publish("v2.0.0", {"app": b"1"}, draft=True, published_at=None)
    catalog = catalog_of(github.url, context)
    assert tags_of(catalog) == {"v1.0.0"}
    assert [file.name for file in catalog.files(next(iter(catalog.versions())))] == ["app"]


def test_names_that_no_file_can_have_are_passed_over(github: GitHub, context: TestContext) -> None:
    """Nobody can make them on GitHub; whoever sends them is not GitHub, or it has a fault."""
    github.publish("v1.0.0", {"app": b"1"})
    for name in ("../../etc/passwd", "a\nb", "\ud800", ""):
        github.releases[0]["assets"].append(github.releases[0]["assets"][0] | {"name": name})
    catalog = catalog_of(github.url, context)
    assert [file.name for file in catalog.files(next(iter(catalog.versions())))] == ["app"]


def test_what_github_states_is_listed(github: GitHub, context: TestContext) -> None:
    """Size, digest, time; a digest that is null on old assets is none."""
    github.publish("v1.0.0", {"new": b"1", "old": b"22"})["assets"][1]["digest"] = None
    catalog = catalog_of(github.url, context)
    version = next(iter(catalog.versions()))
    assert version == ListedVersion("v1.0.0", datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC))
    new, old = catalog.files(version)
    assert (new.digest or "").startswith("sha256:6b86b273ff34fce1")
    assert (old.digest, old.size, new.size) == (None, 2, 1)
    assert new.modified == datetime(2024, 3, 15, 14, 31, tzinfo=UTC)
    assert new.fingerprint != old.fingerprint


def test_release_marked_as_prerelease_is_none_for_production(github: GitHub, context: TestContext) -> None:
    """The mark on GitHub counts also where the tag is a plain version (R25)."""
    github.publish("v1.0.0", {"app_linux_amd64": b"1"})
    github.publish("v2.0.0", {"app_linux_amd64": b"2"}, prerelease=True)
    assert registry_of(catalog_of(github.url, context)).current(LINUX).version == "v1.0.0"
    staging = catalog_of(f"{github.url}?pre-release=true", context)
    assert registry_of(staging, pre_release=True).current(LINUX).version == "v2.0.0"
    github.remove("v1.0.0")
    with pytest.raises(RegistryError, match=r"all 1 releases of example/myapp are marked as pre-releases.*pre-release=true"):
        catalog_of(github.url, context).versions()


def test_artifact_still_uploading_is_pending_by_published_at(github: GitHub, context: TestContext) -> None:
    """For 30 minutes after the publication (R28), however old the commit is."""
    github.publish("v1.0.0", {"app_linux_amd64": b"1"})
    release = github.publish("v1.1.0", {"checksums.txt": b"-"}, created_at="2020-01-01T00:00:00Z")
    release["published_at"] = f"{datetime.now(UTC) - timedelta(minutes=29):%Y-%m-%dT%H:%M:%SZ}"
    registry = registry_of(catalog_of(github.url, context))
    with pytest.raises(ReleasePending, match=r"v1\.1\.0 has no file"):
        registry.current(LINUX)
    release["published_at"] = f"{datetime.now(UTC) - timedelta(minutes=31):%Y-%m-%dT%H:%M:%SZ}"
    with pytest.raises(RegistryError, match=r"v1\.1\.0 has no file") as raised:
        registry.current(LINUX)
    assert not isinstance(raised.value, ReleasePending)
    github.publish("v1.1.0", {"app_linux_amd64": b"2"})
    assert registry.current(LINUX).version == "v1.1.0"


def test_moved_repository_is_followed_at_no_cost(
    github: GitHub, context: TestContext, caplog: pytest.LogCaptureFixture
) -> None:
    """GitHub redirects the old name; asking it at each poll would cost a request that counts."""
    github.moved_from = f"{OWNER}/oldname"
    release = github.publish("v1.0.0", {"app_linux_amd64": b"bytes"})
    catalog = catalog_of(f"ghr://{github.moved_from}", context)
    url = registry_of(catalog).current(LINUX).url
    assert github.statuses() == [301, 200]
    assert "was renamed or moved" in caplog.text
    github.forget()
    for _ in range(3):
        assert tags_of(catalog) == {"v1.0.0"}
    assert github.statuses() == [304] * 3
    assert downloaded(url, context)[0] == b"bytes"
    catalog.attach(next(iter(catalog.versions())), "note.txt", "x")
    assert [asset["name"] for asset in release["assets"]] == ["app_linux_amd64", "note.txt"]


def test_moved_repository_that_goes_is_asked_for_by_its_name_again(github: GitHub, context: TestContext) -> None:
    """A new repository may get the old name."""
    github.moved_from = f"{OWNER}/oldname"
    github.publish("v1.0.0", {"app": b"1"})
    catalog = catalog_of(f"ghr://{github.moved_from}", context)
    list(catalog.versions())
    github.moved_from, github.name = None, f"{OWNER}/oldname"
    github.fail(f"repositories/{REPO_ID}", of_json({"message": "Not Found"}, 404))
    with pytest.raises(RegistryError, match="404"):
        catalog.versions()
    assert tags_of(catalog) == {"v1.0.0"}


def test_failed_page_takes_no_release_away(github: GitHub, context: TestContext) -> None:
    """What could not be read in full is an error, never a shorter list: that would be a downgrade."""
    for number in range(150):
        github.publish(f"v1.{number}.0", {"app": b"x"})
    catalog = catalog_of(github.url, context)
    github.fail("page=2", of_json({"message": "Server Error"}, 502), times=10)
    with pytest.raises(RegistryError, match=r"listing the releases of example/myapp failed: .* fails with 502"):
        catalog.versions()


def test_poll_that_fails_half_way_has_learnt_nothing(github: GitHub, context: TestContext) -> None:
    """Else the next one would take what it sees for known, and list a version's files as they were before."""
    for number in range(150):
        github.publish(f"v1.{number}.0", {"app": b"x"})
    catalog = catalog_of(github.url, context)
    list(catalog.versions())
    github.publish("v1.149.0", {"late": b"y"})
    github.fail("page=2", Answer(304))  # on the first way through the pages all is well
    github.fail("page=2", Answer(500), times=4)
    with pytest.raises(RegistryError, match="500"):
        catalog.versions()
    list(catalog.versions())
    assert {file.name for file in catalog.files(ListedVersion("v1.149.0"))} == {"app", "late"}


def test_poll_after_an_error_sees_everything(github: GitHub, context: TestContext) -> None:
    github.publish("v1.0.0", {"app": b"x"})
    catalog = catalog_of(github.url, context)
    assert tags_of(catalog) == {"v1.0.0"}
    github.fail("/releases?", of_json({"message": "Server Error"}, 500), times=4)
    with pytest.raises(RegistryError, match="500"):
        catalog.versions()
    github.publish("v1.1.0", {"app": b"x"})
    assert tags_of(catalog) == {"v1.0.0", "v1.1.0"}


def test_enterprise_server(context: TestContext) -> None:
    """Everything under the address that is set, also uploads, which lie beside the API there."""
    with GitHub("/api/v3") as github:
        context.environ = {"GH_TOKEN": github.environ["GH_TOKEN"], "GITHUB_ENDPOINT": f"{github.api}/"}
        for number in range(120):
            github.publish(f"v1.{number}.0", {"app_linux_amd64": b"bytes"})
        catalog = catalog_of(github.url, context)
        registry = registry_of(catalog)
        release = registry.current(LINUX)
        assert release.version == "v1.119.0"
        assert downloaded(release.url, context)[0] == b"bytes"
        catalog.attach(ListedVersion(release.version), "note.txt", "x")
        assert [asset["name"] for asset in github.releases[0]["assets"]] == ["app_linux_amd64", "note.txt"]
        assert all(request.startswith(("GET /api/v3/", "POST /api/uploads/")) for request in github.requests())
