"""dewy with a gRPC registry: what it deploys and reports, and where it finds the artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from dewy.errors import UsageError
from dewy.host import detect_platform
from dewy.plugins import Plugins, load_plugins
from dewy.testing import TestContext
from dewy.types import Platform, Release
from dewy_registry_grpc.sdk import grpc
from grpc_server import GrpcServer
from publishing import pack
from running import dewy, eventually, running

AMD64 = Platform("linux", "amd64")


@pytest.fixture
def plugins() -> Plugins:
    """Nothing but the core and this distribution, whatever else is installed here."""
    return Plugins(each for each in load_plugins({}).all if each.distribution in ("dewy", "dewy-registry-grpc"))


@pytest.mark.parametrize("scheme", ["ghr", "s3", "gs"])
def test_an_artifact_of_a_backend_that_is_not_installed_names_the_distribution(
    server: GrpcServer, plugins: Plugins, context: TestContext, scheme: str
) -> None:
    server.offer(AMD64, Release(version="v1.4.0", artifact="app", url=f"{scheme}://a/b/v1.4.0/app"))
    release = plugins.registry(server.url, context).current(AMD64)  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=f"no artifact plugin handles {scheme}://") as raised:
        plugins.artifact(release.url, context)
    assert raised.value.hint == f"Install it: pip install dewy-registry-{scheme}"


def test_an_artifact_of_a_backend_that_is_there_opens_it(server: GrpcServer, plugins: Plugins, context: TestContext) -> None:
    server.offer(AMD64, Release(version="v1.4.0", artifact="app", url="https://127.0.0.1:9/app"))
    release = plugins.registry(server.url, context).current(AMD64)  # type: ignore[union-attr]
    assert plugins.find("artifact", release.url).plugin.distribution == "dewy"
    assert plugins.artifact(release.url, context)


class Publisher:
    """Puts archives into a directory and offers them to this host through the server."""

    def __init__(self, server: GrpcServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        folder.mkdir()

    def offer(self, version: str, *, digest_of: bytes | None = None) -> None:
        """``digest_of``: the bytes whose digest is stated, when they are not the archive's."""
        content = pack({"index.html": (version.encode(), 0o644)})
        archive = self.folder / f"site-{version}.tar.gz"
        archive.write_bytes(content)
        digest = hashlib.sha256(content if digest_of is None else digest_of).hexdigest()
        self.server.metadata = (("dewy-artifact-digest", f"sha256:{digest}"), ("dewy-artifact-size", str(len(content))))
        release = Release(version=version, artifact=archive.name, url=f"file://{archive}", id=f"answer-{version}")
        self.server.offer(detect_platform(), release)


@pytest.fixture
def publisher(server: GrpcServer, tmp_path: Path) -> Publisher:
    return Publisher(server, tmp_path / "releases")


def test_deployments_are_reported_and_the_registry_is_followed(publisher: Publisher, tmp_path: Path) -> None:
    """Up, down again, through a restart of the server; and bytes that are not those it states are never unpacked."""
    server, page = publisher.server, tmp_path / "root" / "current" / "index.html"
    page.parents[1].mkdir()
    publisher.offer("v1.0.0")
    with running("assets", "--registry", server.url, "-i", "0.2s", "-C", str(page.parents[1])) as process:
        process.wait_for("report.done", version="v1.0.0")
        publisher.offer("v1.1.0")
        process.wait_for("report.done", version="v1.1.0")
        assert page.read_text() == "v1.1.0"

        server.stop()
        process.wait_for("registry.failed")
        server.start()
        publisher.offer("v1.2.0", digest_of=b"other bytes")
        process.wait_for("deployment.failed", version="v1.2.0")
        eventually(lambda: server.reports()[-1].version == "v1.2.0", what="the report of the failure")
        assert page.read_text() == "v1.1.0"

        publisher.offer("v1.0.0")
        process.wait_for("report.done", version="v1.0.0", count=2)
        assert page.read_text() == "v1.0.0"

    reports = [report for report in server.reports() if report.version != "v1.2.0"]
    assert [(each.id, each.version, each.command, each.error) for each in reports] == [
        (f"answer-{version}", version, "assets", None) for version in ("v1.0.0", "v1.1.0", "v1.0.0")
    ]
    failed = next(report for report in server.reports() if report.version == "v1.2.0")
    assert failed.id == "answer-v1.2.0"
    assert "is not what was published" in (failed.error or "")


def test_check_with_tls_says_what_would_be_deployed(
    publisher: Publisher, started: Callable[..., GrpcServer], authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    publisher.server = started(credentials=grpc.ssl_server_credentials([pair]))
    publisher.offer("v1.0.0")
    url = publisher.server.url.rstrip("?")
    believed = {"SSL_CERT_FILE": str(ca_file), "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ""}
    good = dewy("check", "--registry", url, "-C", str(tmp_path), **believed)
    assert good.returncode == 0, good.stderr
    assert "site-v1.0.0.tar.gz" in good.stdout
    bad = dewy("check", "--registry", url, "-C", str(tmp_path))
    assert bad.returncode != 0
    assert "not signed by an authority that is believed here" in bad.stdout + bad.stderr
    assert "SSL_ERROR" not in bad.stdout + bad.stderr


@pytest.mark.parametrize("option", ["artifact=app", "pre-release=true"])
def test_usage_errors_end_with_status_2_and_one_line(option: str, tmp_path: Path) -> None:
    done = dewy("check", "--registry", f"grpc://127.0.0.1:1?no-tls=true&{option}", "-C", str(tmp_path))
    assert done.returncode == 2
    assert "a gRPC registry decides that itself" in done.stderr
    assert "Traceback" not in done.stderr
