"""Downloads: by the API, from the host that has the bytes, without the token, resumed, with what is stated."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dewy.digests import verify
from dewy.errors import ArtifactError
from dewy.testing import TestContext
from dewy.testing.streams import WriteOnly
from ghr_client import artifact_of, catalog_of, downloaded
from ghr_github import TOKEN, GitHub
from ghr_wire import Answer, of_json


def test_download_reuses_what_the_poll_learnt(github: GitHub, context: TestContext) -> None:
    """One request to the API, one to the storage; nothing is listed again."""
    github.publish("v1.0.0", {"app": b"bytes"})
    catalog = catalog_of(github.url, context)
    file = catalog.files(next(iter(catalog.versions())))[0]
    github.forget()
    content, stated = downloaded(file.url, context)
    assert content == b"bytes"
    assert stated.size == 5
    assert stated.digests[0] == f"sha256:{hashlib.sha256(b'bytes').hexdigest()}"
    number = github.releases[0]["assets"][0]["id"]
    assert github.requests() == [f"GET /repos/example/myapp/releases/assets/{number}"]
    assert len(github.requests("storage")) == 1


def test_token_never_reaches_the_storage_host(github: GitHub, context: TestContext) -> None:
    """Also not when the download is taken up again, each time by way of the API."""
    content = os.urandom(3_000_000)
    url = github.put_cut("app", content, cuts=2)
    assert downloaded(url, context)[0] == content
    stored = [request for request, _ in github.seen if request.role == "storage"]
    assert [request.headers.get("range") for request in stored] == [None, "bytes=1500000-", "bytes=2250000-"]
    assert all(TOKEN not in str(request.headers) + request.target for request in stored)
    asked = [request for request, _ in github.seen if request.role == "api" and "assets" in request.target]
    assert len(asked) == 3
    assert {request.headers["accept"] for request in asked} == {"application/octet-stream"}
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {TOKEN}"}


def test_token_goes_nowhere_else_whatever_address_an_answer_names(github: GitHub, context: TestContext) -> None:
    """The storage here refuses requests with a token, as GitHub's does."""
    url = github.put("app", b"bytes")
    asset = github.releases[0]["assets"][0]
    asset["url"] = f"{github.storage}/blob/{asset['id']}?sig=signed"
    assert downloaded(url, context)[0] == b"bytes"
    assert github.statuses("storage") == [200]


def test_release_nobody_has_listed_is_looked_up_by_its_tag(github: GitHub, context: TestContext) -> None:
    """A gRPC registry names artifacts without any poll here."""
    github.publish("web/v1.0.0", {"app": b"bytes"})
    for url in (f"{github.url}/tag/web%2Fv1.0.0/app", f"{github.url}/tag/web/v1.0.0/app"):
        assert downloaded(url, context)[0] == b"bytes"
    assert github.requests()[0] == "GET /repos/example/myapp/releases/tags/web%2Fv1.0.0"


def test_asset_that_was_uploaded_anew_is_found_with_the_next_try(github: GitHub, context: TestContext) -> None:
    github.publish("v1.0.0", {"app": b"first"})
    catalog = catalog_of(github.url, context)
    file = catalog.files(next(iter(catalog.versions())))[0]
    github.publish("v1.0.0", {"app": b"second"})
    with pytest.raises(ArtifactError, match=r"no file app of release v1\.0\.0 in the repository example/myapp"):
        downloaded(file.url, context)
    assert downloaded(file.url, context)[0] == b"second"
    assert [version.tag for version in catalog.versions()] == ["v1.0.0"], "looking up a release has unlisted it"


@pytest.mark.parametrize("arrived", [b"wrong", b"rig", b"right and more"], ids=["altered", "short", "long"])
def test_other_bytes_than_stated_are_refused(github: GitHub, context: TestContext, tmp_path: Path, arrived: bytes) -> None:
    """The storage sends, as whole, what GitHub has not taken the size and the digest of: the core's check sees it."""
    url = github.put("app", b"right")
    github.fail("GET /blob/", Answer(200, arrived, {"ETag": '"x"'}))
    content, stated = downloaded(url, context)
    (tmp_path / "app").write_bytes(content)
    with pytest.raises(ArtifactError, match="app"):
        verify(tmp_path / "app", "app", f"sha256:{hashlib.sha256(content).hexdigest()}", [stated])


def test_missing_file_names_those_that_are_there(github: GitHub, context: TestContext) -> None:
    github.put("myapp_linux_amd64.tar.gz", b"x")
    with pytest.raises(ArtifactError, match=r"has no file nothing: its files are myapp_linux_amd64\.tar\.gz"):
        downloaded(f"{github.url}/tag/v1.0.0/nothing", context)


@pytest.mark.parametrize(
    ("where", "answer", "says"),
    [
        ("/assets/", of_json({"message": "Bad credentials"}, 401), r"does not accept the token in GH_TOKEN \(401\)"),
        ("/assets/", of_json({"message": "Server Error"}, 503), "fails with 503"),
        ("GET /blob/", Answer(403, b"<Error>expired</Error>"), "refuses"),
        ("GET /blob/", Answer(500, b""), "fails with 500"),
    ],
)
def test_failed_download_is_an_artifact_error(
    github: GitHub, context: TestContext, where: str, answer: Answer, says: str
) -> None:
    url = github.put("app", b"bytes")
    github.fail(where, answer, times=10)
    to = WriteOnly()
    with pytest.raises(ArtifactError, match=says) as raised:
        artifact_of(url, context).download(to.as_binary_io())
    assert not to.size
    assert "signed" not in str(raised.value), "the address of the bytes is a secret"


def test_storage_that_fails_for_a_moment_is_asked_again(github: GitHub, context: TestContext) -> None:
    url = github.put("app", b"bytes")
    github.fail("GET /blob/", Answer(503), times=2)
    assert downloaded(url, context)[0] == b"bytes"
