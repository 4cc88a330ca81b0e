"""Clients: one for all, with the right credentials, and none of it loaded before it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dewy.errors import RegistryError
from dewy.testing import TestContext
from dewy.testing.streams import WriteOnly
from dewy_registry_s3.connection import Access, Connection
from dewy_registry_s3.location import Store
from s3_proxy import Proxy
from s3_store import Bucket, artifact_of, catalog_of


@pytest.fixture
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host without credentials, whatever the one that runs the tests has."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def credentials_file(path: Path, key: str, secret: str) -> Path:
    path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    return path


def client_of(connection: Connection) -> object:
    with connection.client() as client:
        return client


def test_registry_and_artifact_share_one_client(bucket: Bucket, tmp_path: Path) -> None:
    """And its connections: a poll costs no handshake."""
    context = TestContext(tmp_path, bucket.server.environ)
    store = Store("us-east-1", bucket.endpoint)
    assert client_of(Connection.of(store, context)) is client_of(Connection.of(store, context))
    other = Connection.of(Store("eu-west-1", bucket.endpoint), context)
    assert client_of(other) is not client_of(Connection.of(store, context))


@pytest.mark.usefixtures("nothing_configured")
def test_host_without_credentials_is_told_so(bucket: Bucket, tmp_path: Path) -> None:
    catalog = catalog_of(bucket.url, TestContext(tmp_path))
    with pytest.raises(RegistryError, match="there are no AWS credentials here") as raised:
        catalog.versions()
    assert "anonymous=true" in raised.value.hint


@pytest.mark.usefixtures("nothing_configured")
def test_credentials_that_come_later_are_found(bucket: Bucket, tmp_path: Path) -> None:
    """The metadata service was slow at boot, or the file was written a minute later: the next poll has them."""
    path = tmp_path / "credentials"
    catalog = catalog_of(bucket.url, TestContext(tmp_path, {"AWS_SHARED_CREDENTIALS_FILE": str(path)}))
    with pytest.raises(RegistryError, match="no AWS credentials"):
        catalog.versions()
    credentials_file(path, bucket.server.access_key, bucket.server.secret_key)
    assert list(catalog.versions()) == []


@pytest.mark.usefixtures("nothing_configured")
def test_renewed_credentials_are_taken_up(bucket: Bucket, tmp_path: Path) -> None:
    """A key in a file was replaced: no restart is needed."""
    path = credentials_file(tmp_path / "credentials", "old-key", "old-secret-which-is-no-more")
    catalog = catalog_of(bucket.url, TestContext(tmp_path, {"AWS_SHARED_CREDENTIALS_FILE": str(path)}))
    with pytest.raises(RegistryError, match="does not know the access key"):
        catalog.versions()
    credentials_file(path, bucket.server.access_key, bucket.server.secret_key)
    assert list(catalog.versions()) == []


def test_environment_is_the_one_that_dewy_lends(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the process's own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-process")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-process")
    assert list(catalog_of(bucket.url, TestContext(tmp_path, bucket.server.environ)).versions()) == []
    path = credentials_file(tmp_path / "credentials", bucket.server.access_key, bucket.server.secret_key)
    context = TestContext(tmp_path, {"AWS_SHARED_CREDENTIALS_FILE": str(path)})
    assert list(catalog_of(bucket.url, context).versions()) == []


def test_profile_from_files(bucket: Bucket, tmp_path: Path) -> None:
    """``AWS_PROFILE`` with files at other places, as a service account has them."""
    server = bucket.server
    (tmp_path / "config").write_text("[profile deploy]\nregion = us-east-1\n")
    (tmp_path / "credentials").write_text(
        f"[deploy]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    )
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    assert list(catalog_of(bucket.url, TestContext(tmp_path, {**files, "AWS_PROFILE": "deploy"})).versions()) == []
    with pytest.raises(RegistryError, match="nobody"):
        catalog_of(bucket.url, TestContext(tmp_path, {**files, "AWS_PROFILE": "nobody"})).versions()


def test_secrets_are_told_to_dewy(bucket: Bucket, tmp_path: Path) -> None:
    """Those of the environment when it opens, those of the chain when they are found."""
    environ = {**bucket.server.environ, "AWS_SESSION_TOKEN": "session-token-which-is-secret"}
    context = TestContext(tmp_path, environ)
    Connection.of(Store("us-east-1"), context)
    assert set(context.secrets) == {bucket.server.secret_key, "session-token-which-is-secret"}
    path = credentials_file(tmp_path / "credentials", "key", "secret-of-the-file")
    context = TestContext(tmp_path, {"AWS_SHARED_CREDENTIALS_FILE": str(path)})
    client_of(Connection.of(Store("us-east-1"), context))
    assert "secret-of-the-file" in context.secrets
    assert "secret" not in repr(Access.from_environ(Store("us-east-1"), {"AWS_SECRET_ACCESS_KEY": "secret"})).replace(
        "secret_key", ""
    )


def test_polls_reuse_the_connection(bucket: Bucket, tmp_path: Path, proxy: Proxy) -> None:
    """R30: listing, files and download go over one connection, and each is one request."""
    bucket.publish("v1.0.0", {"app": b"1"})
    context = TestContext(tmp_path, bucket.server.environ)
    catalog = catalog_of(bucket.url, context)
    for _ in range(3):
        (version,) = catalog.versions()
        (file,) = catalog.files(version)
    artifact_of(file.url, context).download(WriteOnly().as_binary_io())
    assert proxy.count("GET") == 7
    assert proxy.connections <= 1


def test_requests_ask_for_nothing_that_compatible_stores_may_not_know(bucket: Bucket, tmp_path: Path, proxy: Proxy) -> None:
    """Newer SDKs add checksums of their own to uploads, which other stores refuse."""
    bucket.publish("v1.0.0", {"app": b"1"})
    catalog = catalog_of(bucket.url, TestContext(tmp_path, bucket.server.environ))
    (version,) = catalog.versions()
    catalog.attach(version, "entry.txt", "x")
    ((_, path, headers),) = [request for request in proxy.requests if request[0] == "PUT"]
    assert path.startswith(f"/{bucket.name}/"), "with an endpoint, the bucket stands in the path"
    sent = {name.lower() for name in headers}
    assert not {name for name in sent if "checksum" in name or name in ("x-amz-trailer", "transfer-encoding")}
    assert "content-md5" in sent


def test_opening_loads_no_sdk(tmp_path: Path) -> None:
    """R92: not even with an s3 URL, before the first request."""
    code = f"""
import sys
from pathlib import Path
from dewy.context import PluginContext
from dewy.redaction import Redactor
from dewy.urls import parse_url
from dewy_registry_s3.plugin import ARTIFACT, REGISTRY
context = PluginContext({{}}, Path({str(tmp_path)!r}), Redactor())
for backend in (REGISTRY, ARTIFACT):
    backend.open(parse_url(backend.examples[0], backend.options), context)
print(sorted({{"boto3", "botocore", "urllib3", "s3transfer"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
