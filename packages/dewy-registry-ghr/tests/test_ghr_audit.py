"""Audit entries: assets of the release, through its own upload address."""

from __future__ import annotations

import pytest

from dewy.errors import RegistryError
from dewy.testing import TestContext
from dewy.types import ListedVersion
from ghr_client import catalog_of
from ghr_github import TOKEN, GitHub
from ghr_wire import Answer, Request, of_json

ENTRY = "shipped_to_web-1_server_at_20240315T143022.000000000Z.txt"


def entry_of(github: GitHub, tag: str = "v1.0.0") -> dict[str, object]:
    release = next(release for release in github.releases if release["tag_name"] == tag)
    return next(asset for asset in release["assets"] if asset["name"] == ENTRY)


def test_entry_goes_where_the_release_says(github: GitHub, context: TestContext) -> None:
    """To the upload host, as text, with the token; one request, nothing listed again."""
    github.publish("v1.0.0", {"app": b"1"})
    catalog = catalog_of(github.url, context)
    version = next(iter(catalog.versions()))
    github.forget()
    catalog.attach(version, ENTRY, "shipped: čas\n")
    assert github.requests() == []
    request, status = github.seen[0]
    assert (request.role, request.method, status) == ("uploads", "POST", 201)
    assert request.target == f"/repos/example/myapp/releases/{github.releases[0]['id']}/assets?name={ENTRY}"
    assert request.headers["content-type"] == "text/plain"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.body == "shipped: čas\n".encode()
    assert github.blobs[int(str(entry_of(github)["id"]))].content == request.body


def test_release_nobody_has_listed_is_looked_up(github: GitHub, context: TestContext) -> None:
    """After a restart of dewy, say."""
    github.publish("v1.0.0", {"app": b"1"})
    catalog_of(github.url, context).attach(ListedVersion("v1.0.0"), ENTRY, "x")
    assert github.requests() == ["GET /repos/example/myapp/releases/tags/v1.0.0"]
    assert entry_of(github)


def test_name_clash_is_no_error(github: GitHub, context: TestContext) -> None:
    """The entry is there; the one that is stays as it is."""
    github.publish("v1.0.0", {"app": b"1", ENTRY: b"before"})
    catalog = catalog_of(github.url, context)
    catalog.attach(next(iter(catalog.versions())), ENTRY, "again")
    assert github.statuses("uploads") == [422]
    assert github.blobs[int(str(entry_of(github)["id"]))].content == b"before"


def test_name_clash_in_few_words_is_no_error(github: GitHub, context: TestContext) -> None:
    """An Enterprise Server that is old says less: what is there tells."""
    github.publish("v1.0.0", {"app": b"1", ENTRY: b"before"})
    github.fail("POST /repos", of_json({"message": "Validation Failed"}, 422))
    catalog_of(github.url, context).attach(ListedVersion("v1.0.0"), ENTRY, "again")
    assert github.statuses("uploads") == [422]


def test_upload_whose_answer_was_lost_is_repeated(github: GitHub, context: TestContext) -> None:
    """The name can be taken once only, so a second request does no harm."""
    github.publish("v1.0.0", {"app": b"1"})

    def stored_but_not_said(request: Request) -> Answer:
        return Answer(201, github._upload(request).body, cut=3)

    github.fail("POST /repos", stored_but_not_said)
    catalog = catalog_of(github.url, context)
    catalog.attach(next(iter(catalog.versions())), ENTRY, "x")
    assert github.statuses("uploads") == [201, 422]
    assert [file.name for file in catalog.files(ListedVersion("v1.0.0"))] == ["app", ENTRY]


def test_half_an_upload_is_replaced(github: GitHub, context: TestContext) -> None:
    """GitHub fails with 502 and leaves an empty asset in the state "starter", which its documentation says to delete."""
    release = github.publish("v1.0.0", {"app": b"1"})

    def half(request: Request) -> Answer:
        github._upload(request)
        release["assets"][-1] |= {"state": "starter", "size": 0}
        return of_json({"message": "Server Error"}, 502)

    github.fail("POST /repos", half)
    catalog = catalog_of(github.url, context)
    catalog.attach(next(iter(catalog.versions())), ENTRY, "whole")
    assert github.statuses("uploads") == [502, 422, 201]
    assert entry_of(github)["state"] == "uploaded"
    assert [asset["name"] for asset in release["assets"]] == ["app", ENTRY]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            of_json({"message": "Resource not accessible by personal access token"}, 403),
            r"refuses the token in GH_TOKEN .* \(403\): Resource not accessible .*Contents .*to write",
        ),
        (of_json({"message": "Cannot upload assets to an immutable release."}, 422), "immutable release"),
        (of_json({"message": "Not Found"}, 404), r"has no release v1\.0\.0 in the repository example/myapp"),
        (of_json([], 201), "not what GitHub documents"),
    ],
)
def test_refused_entry_says_why(github: GitHub, context: TestContext, answer: Answer, says: str) -> None:
    github.publish("v1.0.0", {"app": b"1"})
    github.fail("POST /repos", answer, times=5)
    catalog = catalog_of(github.url, context)
    version = next(iter(catalog.versions()))
    with pytest.raises(RegistryError, match=f"attaching {ENTRY} to v1.0.0 of example/myapp failed: .*{says}"):
        catalog.attach(version, ENTRY, "x")


def test_without_a_token_nothing_is_sent(github: GitHub, context: TestContext) -> None:
    context.environ = {"GITHUB_API_URL": github.api}
    with pytest.raises(RegistryError, match=r"that takes a token\. Set GH_TOKEN"):
        catalog_of(github.url, context).attach(ListedVersion("v1.0.0"), ENTRY, "x")
    assert not github.seen


def test_upload_address_that_is_none_gets_no_token(github: GitHub, context: TestContext) -> None:
    release = github.publish("v1.0.0", {"app": b"1"})
    release["upload_url"] = "ftp://uploads.example/assets{?name,label}"
    with pytest.raises(RegistryError, match="names an address for uploads that is none"):
        catalog_of(github.url, context).attach(ListedVersion("v1.0.0"), ENTRY, "x")
