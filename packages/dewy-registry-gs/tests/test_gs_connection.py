"""Clients: one for all, with the right credentials, and none of it loaded before it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import google.auth.credentials
import pytest

from dewy.errors import RegistryError
from dewy.testing import TestContext
from dewy.testing.streams import WriteOnly
from dewy_registry_gs.connection import Connection
from dewy_registry_gs.location import Store
from gs_signin import SignIn
from gs_store import Bucket, artifact_of, catalog_of
from s3_proxy import Answer, Proxy


@pytest.fixture
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host without credentials, whatever the one that runs the tests has."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "CLOUDSDK_", "GCLOUD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Service accounts ask Google in the background in which regions they may be used: not from a test."""
    kind = google.auth.credentials.CredentialsWithRegionalAccessBoundary
    monkeypatch.setattr(kind, "_maybe_start_regional_access_boundary_refresh", lambda *_: None)


@pytest.fixture
def guarded(loopback_only: None, bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket as a service that is asked with credentials: the SDK's own switch for another address."""
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", proxy.endpoint)
    bucket.publish("v1.0.0", {"app": b"1"})
    return bucket


@pytest.fixture(scope="module")
def sign_in_server() -> Iterator[SignIn]:
    with SignIn() as server:
        yield server


@pytest.fixture
def sign_in(sign_in_server: SignIn) -> Iterator[SignIn]:
    yield sign_in_server
    sign_in_server.refuses = ""


def client_of(connection: Connection) -> object:
    with connection.client() as client:
        return client


def bearers(proxy: Proxy) -> list[str]:
    return [headers.get("authorization", headers.get("Authorization", "")) for _, _, headers in proxy.requests]


def test_registry_and_artifact_share_one_client(tmp_path: Path) -> None:
    """And its connections: a poll costs no handshake."""
    context = TestContext(tmp_path)
    store = Store("http://127.0.0.1:1")
    assert client_of(Connection.of(store, context)) is client_of(Connection.of(store, context))
    other = Connection.of(Store("http://127.0.0.1:2"), context)
    assert client_of(other) is not client_of(Connection.of(store, context))


@pytest.mark.usefixtures("nothing_configured")
def test_host_without_credentials_is_told_so(tmp_path: Path) -> None:
    catalog = catalog_of("gs://releases/myapp", TestContext(tmp_path))
    with pytest.raises(RegistryError, match="there are no Google Cloud credentials here") as raised:
        catalog.versions()
    assert "GOOGLE_APPLICATION_CREDENTIALS" in raised.value.hint
    assert "anonymous=true" in raised.value.hint


@pytest.mark.usefixtures("nothing_configured")
def test_service_account_signs_in(guarded: Bucket, tmp_path: Path, proxy: Proxy, sign_in: SignIn) -> None:
    """With the file that the environment names which dewy lends; one token serves registry and artifact."""
    context = TestContext(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(sign_in.write_key(tmp_path / "key.json"))})
    catalog = catalog_of(guarded.url, context)
    (version,) = catalog.versions()
    (file,) = catalog.files(version)
    artifact_of(file.url, context).download(WriteOnly().as_binary_io())
    catalog.attach(version, "entry.txt", "x")
    assert set(bearers(proxy)) == {f"Bearer {sign_in.tokens[-1]}"}
    assert len(proxy.requests) == 5


@pytest.mark.usefixtures("nothing_configured")
def test_expired_token_is_renewed(guarded: Bucket, tmp_path: Path, proxy: Proxy, sign_in: SignIn) -> None:
    """Without a word: a process that runs for months sees many."""
    context = TestContext(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(sign_in.write_key(tmp_path / "key.json"))})
    catalog = catalog_of(guarded.url, context)
    proxy.answer("/o?", Answer(401, b"{}"), times=1)
    assert [version.tag for version in catalog.versions()] == ["v1.0.0"]
    first, second = bearers(proxy)
    assert first != second


@pytest.mark.usefixtures("nothing_configured")
def test_credentials_that_are_refused(guarded: Bucket, tmp_path: Path, proxy: Proxy, sign_in: SignIn) -> None:
    """By the store, although they are fresh."""
    context = TestContext(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(sign_in.write_key(tmp_path / "key.json"))})
    proxy.answer("/o?", Answer(401, b'{"error": {"message": "Invalid Credentials"}}'))
    with pytest.raises(RegistryError, match="the store does not accept the credentials: Invalid Credentials") as raised:
        catalog_of(guarded.url, context).versions()
    assert "must-not-be-shown" not in f"{raised.value} {raised.value!r}"


@pytest.mark.usefixtures("nothing_configured")
def test_key_that_was_revoked_and_then_replaced(guarded: Bucket, tmp_path: Path, sign_in: SignIn) -> None:
    """The error says so; the new file is taken up without a restart."""
    path = sign_in.write_key(tmp_path / "key.json")
    catalog = catalog_of(guarded.url, TestContext(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}))
    sign_in.refuses = "Invalid grant: account not found"
    with pytest.raises(
        RegistryError, match="could not be renewed: invalid_grant: Invalid grant: account not found"
    ) as raised:
        catalog.versions()
    assert "key file" in raised.value.hint
    assert "PRIVATE KEY" not in f"{raised.value} {raised.value!r}"
    with SignIn() as other:
        other.write_key(path)
        assert [version.tag for version in catalog.versions()] == ["v1.0.0"]
        assert len(other.tokens) == 1


@pytest.mark.usefixtures("nothing_configured")
@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "was not found"), ("{", "is not a valid json file"), ('{"type": "magic"}', "does not have a valid type")],
)
def test_credentials_file_that_cannot_be_used(
    guarded: Bucket, tmp_path: Path, sign_in: SignIn, content: str | None, says: str
) -> None:
    """And once it can, it is."""
    path = tmp_path / "key.json"
    if content:
        path.write_text(content)
    catalog = catalog_of(guarded.url, TestContext(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}))
    with pytest.raises(RegistryError, match=f"the Google Cloud credentials cannot be used: .*{says}") as raised:
        catalog.versions()
    assert "GOOGLE_APPLICATION_CREDENTIALS" in raised.value.hint
    sign_in.write_key(path)
    assert [version.tag for version in catalog.versions()] == ["v1.0.0"]


@pytest.mark.usefixtures("nothing_configured")
def test_sign_in_that_cannot_be_reached(guarded: Bucket, tmp_path: Path) -> None:
    """The network's fault is not the key's."""
    with SignIn() as gone:
        path = gone.write_key(tmp_path / "key.json")
    context = TestContext(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    with pytest.raises(RegistryError, match=r"no connection to the store at 127\.0\.0\.1:\d+: Connection refused"):
        catalog_of(guarded.url, context, retry_seconds=0.1).versions()


@pytest.mark.usefixtures("nothing_configured")
def test_requests_are_charged_to_the_project_that_is_named(
    guarded: Bucket, tmp_path: Path, proxy: Proxy, sign_in: SignIn
) -> None:
    """``GOOGLE_CLOUD_QUOTA_PROJECT``, for buckets whose requesters pay."""
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(sign_in.write_key(tmp_path / "key.json"))}
    environ["GOOGLE_CLOUD_QUOTA_PROJECT"] = "our-project"
    catalog_of(guarded.url, TestContext(tmp_path, environ)).versions()
    ((_, _, headers),) = proxy.requests
    assert {name.lower(): value for name, value in headers.items()}["x-goog-user-project"] == "our-project"


@pytest.mark.usefixtures("nothing_configured")
def test_public_bucket_without_credentials(guarded: Bucket, tmp_path: Path, proxy: Proxy) -> None:
    """``anonymous=true`` asks for no credentials, and the artifact's URL says so too."""
    context = TestContext(tmp_path)
    catalog = catalog_of(f"{guarded.url}?anonymous=true", context)
    (version,) = catalog.versions()
    (file,) = catalog.files(version)
    to = WriteOnly()
    artifact_of(file.url, context).download(to.as_binary_io())
    assert to.content == b"1"
    assert set(bearers(proxy)) == {""}


def test_environment_is_the_one_that_dewy_lends(
    bucket: Bucket, context: TestContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the process's own."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/there/is/none")
    assert list(catalog_of(bucket.url, context).versions()) == []


def test_polls_reuse_the_connection(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """R30: listing, files and download go over one connection, and each list is one request."""
    bucket.publish("v1.0.0", {"app": b"1"})
    catalog = catalog_of(bucket.url, context)
    for _ in range(3):
        (version,) = catalog.versions()
        (file,) = catalog.files(version)
    artifact_of(file.url, context).download(WriteOnly().as_binary_io())
    assert proxy.count("GET") == 8
    assert proxy.connections <= 1


def test_opening_loads_no_sdk(tmp_path: Path) -> None:
    """R92: not even with a gs URL, before the first request."""
    code = f"""
import sys
from pathlib import Path
from dewy.context import PluginContext
from dewy.redaction import Redactor
from dewy.urls import parse_url
from dewy_registry_gs.plugin import ARTIFACT, REGISTRY
context = PluginContext({{}}, Path({str(tmp_path)!r}), Redactor())
for backend in (REGISTRY, ARTIFACT):
    backend.open(parse_url(backend.examples[0], backend.options), context)
print(sorted({{"google.cloud.storage", "google.auth", "requests", "urllib3", "google_crc32c"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
