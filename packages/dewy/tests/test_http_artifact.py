"""The built-in https artifact (R32) is held to the kit, and to what is its own: whom it authenticates to, what it hides."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from dewy.backends.plugin import HTTP_ARTIFACT
from dewy.errors import ArtifactError, UsageError
from dewy.http import HttpError
from dewy.testing import ArtifactConformance, TestContext
from dewy.testing.streams import WriteOnly
from dewy.types import Artifact
from dewy.urls import parse_url
from http_server import Application, Connection, Request, Server, file_of, says


class Downloads:
    """A web server with files, some of which break off."""

    def __init__(self) -> None:
        self.files: dict[str, Application] = {}
        self.server = Server(self.answer)

    def answer(self, request: Request, connection: Connection) -> None:
        self.files.get(request.target, says(404, b"<html>no such file</html>"))(request, connection)

    def put(self, name: str, content: bytes, cuts: tuple[int, ...] = ()) -> str:
        path = f"/{quote(name)}"
        etag = f'"{sha256(content).hexdigest()}"'
        self.files[path] = file_of(content, cuts=list(cuts), ETag=etag, X_Checksum_Sha256=sha256(content).hexdigest())
        return f"{self.server.url}{path}"

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        """Half of what is missing comes each time, at most a thousand times."""
        return self.put(name, content, tuple(len(content) >> (cut + 1) for cut in range(min(cuts, 1000))))

    def missing(self) -> str:
        return f"{self.server.url}/missing.tar.gz"


class TestHttpArtifact(ArtifactConformance):
    backend = HTTP_ARTIFACT
    plugin = "dewy.backends.plugin"
    interrupts = True
    resumes = True

    @pytest.fixture
    def store(self) -> Iterator[Downloads]:
        downloads = Downloads()
        with downloads.server:
            yield downloads

    @pytest.fixture
    def unreachable(self) -> str:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return f"http://127.0.0.1:{listener.getsockname()[1]}/app.tar.gz"


def opened(url: str, context: TestContext) -> Artifact:
    return HTTP_ARTIFACT.open(parse_url(url, HTTP_ARTIFACT.options, kind="artifact"), context)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[TestContext]:
    context = TestContext(tmp_path)
    yield context
    context.close()


def test_the_query_belongs_to_the_resource_and_the_user_is_basic_authentication(context: TestContext) -> None:
    with Server(says(200, b"bytes")) as server:
        to = WriteOnly()
        opened(f"http://user:p%40ss@{server.host}/a?signature=a%2Fb+c&x", context).download(to.as_binary_io())
    assert to.content == b"bytes"
    request = server.requests[0]
    assert request.target == "/a?signature=a%2Fb+c&x"
    assert request.headers["authorization"] == "Basic dXNlcjpwQHNz"


def test_a_failure_is_the_artifacts_and_keeps_its_cause_and_no_secret(context: TestContext) -> None:
    with (
        Server(says(403)) as server,
        pytest.raises(ArtifactError, match=r"refuses GET http://127\.0\.0\.1:[0-9]+/a\?\*\*\* \(403\)") as caught,
    ):
        opened(f"http://user:canary@{server.host}/a?signature=canary", context).download(WriteOnly().as_binary_io())
    assert isinstance(caught.value.__cause__, HttpError)
    assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_a_url_without_a_host_is_refused_when_it_is_opened(context: TestContext) -> None:
    with pytest.raises(UsageError, match="names no host"):
        opened("https:///file", context)
