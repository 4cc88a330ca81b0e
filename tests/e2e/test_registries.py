"""From GitHub, Google's store and a gRPC server to a running process, under load, and back as audit entries."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from gcs_emulator import GcsEmulator
from ghr_github import GitHub
from load import Load
from publishing import Archive, Directory, pack
from running import dewy, free_port, running

ROOT = Path(__file__).parents[2]
NAME = "myapp_linux_amd64.tar.gz"


class Source(Protocol):
    """Where versions are published."""

    url: str
    environ: dict[str, str]
    audited: bool

    def publish(self, version: str, content: bytes, stated: bytes | None = None) -> None:
        """Publishes a version; ``stated`` are the bytes whose digest is told, where they are not the content's."""


def sums(content: bytes) -> bytes:
    """A checksum file."""
    return f"{hashlib.sha256(content).hexdigest()}  {NAME}\n".encode()


class OnGitHub:
    audited = True

    def __init__(self, server: GitHub) -> None:
        self.server, self.url, self.environ = server, server.url, server.environ

    def publish(self, version: str, content: bytes, stated: bytes | None = None) -> None:
        self.server.publish(version, {NAME: content} | ({"checksums.txt": sums(stated)} if stated else {}))


class AtGoogle:
    url, audited = "gs://releases/myapp", True

    def __init__(self, server: GcsEmulator) -> None:
        self.client, self.environ = server.client(), server.environ
        self.client.create_bucket("releases")

    def publish(self, version: str, content: bytes, stated: bytes | None = None) -> None:
        for name, body in (("checksums.txt", sums(stated) if stated else None), (NAME, content)):
            if body:
                self.client.bucket("releases").blob(f"myapp/{version}/{name}").upload_from_string(body)


class ByServer:
    """The example of a user's own server, which names artifacts in a directory."""

    audited = False

    def __init__(self, releases: Path, port: int, store: Directory) -> None:
        self.releases, self.store = releases, store
        self.url, self.environ = f"grpc://127.0.0.1:{port}?no-tls=true", dict[str, str]()

    def publish(self, version: str, content: bytes, stated: bytes | None = None) -> None:
        self.store.publish(version, content)
        digest = f"sha256:{hashlib.sha256(stated or content).hexdigest()}"
        answer = {"tag": version, "artifact_url": f"{self.store.url}/{version}/{NAME}", "digest": digest}
        following = self.releases.with_suffix(".next")
        following.write_text(json.dumps({"linux/amd64": answer}))
        following.rename(self.releases)


@pytest.fixture
def github() -> Iterator[Source]:
    with GitHub() as server:
        yield OnGitHub(server)


@pytest.fixture
def google() -> Iterator[Source]:
    with GcsEmulator() as server:
        source = AtGoogle(server)
        yield source
        source.client.close()


@pytest.fixture
def grpc(tmp_path: Path, registry: Directory) -> Iterator[Source]:
    releases = tmp_path / "releases.json"
    releases.write_text("{}")
    example = ROOT / "packages" / "dewy-registry-grpc" / "examples" / "server.py"
    with subprocess.Popen(
        [sys.executable, example, releases, "--listen", "127.0.0.1:0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stderr
        try:
            said = server.stderr.readline()
            assert said.startswith("listening on port "), said
            yield ByServer(releases, int(said.split()[-1]), registry)
        finally:
            server.terminate()
            server.wait(20)


@pytest.mark.parametrize("kind", ["github", "google", "grpc"])
def test_versions_are_deployed_under_load_and_audited(
    kind: str, request: pytest.FixtureRequest, root: Path, go_archive: Archive
) -> None:
    source: Source = request.getfixturevalue(kind)
    port = free_port()
    source.publish("v1.0.0", go_archive("v1.0.0"))
    arguments = ["--registry", source.url, "-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root), "--start-grace", "0.1s"]
    with running("server", *arguments, "--", "./current/myapp", **source.environ) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        with Load(port) as load:
            load.wait_for("v1.0.0")
            for number in range(1, 4):
                source.publish(f"v1.{number}.0", go_archive(f"v1.{number % 3}.0"))
                process.wait_for("deployment.done", version=f"v1.{number}.0")
            process.wait_for("generation.stopped", count=3)
        assert load.failures == []
        assert load.requests > 100
        process.wait_for("report.done", count=4)
    found = dewy("audit", "--registry", source.url, "--json", **source.environ)
    if source.audited:
        assert found.returncode == 0, found.stderr
        versions = [json.loads(line)["version"] for line in found.stdout.splitlines()]
        assert sorted(versions) == ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"]
    else:
        assert found.returncode == 2
        assert "keeps no audit entries that can be read" in found.stderr


@pytest.mark.parametrize("kind", ["github", "google", "grpc"])
def test_bytes_that_are_not_what_is_stated_are_never_unpacked(kind: str, request: pytest.FixtureRequest, root: Path) -> None:
    source: Source = request.getfixturevalue(kind)
    good = pack({"index.html": (b"good", 0o644)})
    source.publish("v1.0.0", good, good)
    with running("assets", "--registry", source.url, "-i", "0.1s", "-C", str(root), **source.environ) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        swapped = pack({"index.html": (b"swapped", 0o644)})
        for version, content in (("v1.1.0", swapped), ("v1.2.0", good[:-10]), ("v1.3.0", good[:20] + b"!" + good[21:])):
            source.publish(version, content, good)
            failed = process.wait_for("deployment.failed", version=version)
            assert "is not what was published" in failed["error"]
            assert failed["phase"] == "fetch"
        assert len(list((root / "releases").iterdir())) == 1
        source.publish("v1.4.0", swapped, swapped)
        process.wait_for("deployment.done", version="v1.4.0")
        assert (root / "current" / "index.html").read_text() == "swapped"
