"""What a person reads when Google Cloud Storage fails: what, on what, why, and what to do."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from dewy.errors import ArtifactError, DewyError, RegistryError
from dewy.testing import TestContext
from dewy.testing.failures import check_sentence
from dewy.testing.streams import WriteOnly
from dewy.types import ListedVersion
from dewy_registry_gs.connection import Access
from dewy_registry_gs.faults import fault_of
from dewy_registry_gs.location import Store
from gcs_emulator import READ_ONLY
from gs_store import Bucket, artifact_of, catalog_of
from s3_proxy import Answer, Proxy


def failure(kind: type[DewyError], call: Callable[[], object]) -> DewyError:
    """The error of a call, which must be a good one."""
    with pytest.raises(kind) as raised:
        call()
    check_sentence(raised.value)
    return raised.value


def test_missing_bucket(bucket: Bucket, context: TestContext) -> None:
    error = failure(RegistryError, catalog_of("gs://there-is-none/myapp", context).versions)
    assert error.message == "listing the versions in gs://there-is-none/myapp failed: there is no such bucket"
    assert "Create it" in error.hint
    artifact = artifact_of("gs://there-is-none/myapp/app", context)
    assert "no such bucket" in failure(ArtifactError, lambda: artifact.download(WriteOnly().as_binary_io())).message


def test_missing_object(bucket: Bucket, context: TestContext) -> None:
    artifact = artifact_of(bucket.missing(), context)
    error = failure(ArtifactError, lambda: artifact.download(WriteOnly().as_binary_io()))
    assert "there is no such object" in error.message


def test_denied_audit_entry(bucket: Bucket, context: TestContext) -> None:
    """A host that may only read says what it lacks."""
    catalog = catalog_of(f"gs://{READ_ONLY}", context)
    assert list(catalog.versions()) == []
    error = failure(RegistryError, lambda: catalog.attach(ListedVersion("v1.0.0"), "entry.txt", "x"))
    assert f"storing entry.txt in gs://{READ_ONLY} failed: access is denied: reader@test" in error.message
    assert "Storage Object Creator" in error.hint


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:1", "no connection to the store at 127.0.0.1:1: Connection refused"),
        ("http://no-such-host.invalid", "no connection to the store at no-such-host.invalid"),
    ],
)
def test_emulator_that_is_not_there(bucket: Bucket, tmp_path: Path, address: str, says: str) -> None:
    context = TestContext(tmp_path, {"STORAGE_EMULATOR_HOST": address})
    error = failure(RegistryError, catalog_of(bucket.url, context, retry_seconds=0.3).versions)
    assert says in error.message
    assert "STORAGE_EMULATOR_HOST" in error.hint


def said(message: str, reason: str = "") -> bytes:
    return json.dumps({"error": {"code": 1, "message": message, "errors": [{"reason": reason}]}}).encode()


DENIED = "deploy@project.iam.gserviceaccount.com does not have storage.objects.list access to the bucket."
ANSWERED = {
    "denied": (Answer(403, said(DENIED, "forbidden")), "access is denied: deploy@project", "Storage Object Viewer"),
    "busy": (Answer(429, said("Slow down.", "rateLimitExceeded")), "asks to slow down", "tries again"),
    "quota": (Answer(403, said("Over it.", "userRateLimitExceeded")), "asks to slow down", "tries again"),
    "project": (
        Answer(403, said("The billing account for the owning project is disabled.", "accountDisabled")),
        "no project can be charged for the request: The billing account",
        "GOOGLE_CLOUD_QUOTA_PROJECT",
    ),
    "requester pays": (
        Answer(400, said("Bucket is a requester pays bucket but no user project provided.", "required")),
        "no project can be charged",
        "GOOGLE_CLOUD_QUOTA_PROJECT",
    ),
    "down": (Answer(503, said("Backend Error")), "the store answered HTTP 503: Backend Error", "tries again"),
    "down, silent": (Answer(500, b""), "the store answered HTTP 500", "tries again"),
    "proxy's page": (Answer(403, b"<h1>Forbidden</h1>", "text/html"), "not one of Google Cloud Storage (HTTP 403)", "proxy"),
    "gateway": (Answer(502, b"<h1>Bad</h1>", "text/html"), "not one of Google Cloud Storage (HTTP 502)", "proxy"),
    "another api": (Answer(404, b'{"detail": "x"}'), "not one of Google Cloud Storage (HTTP 404)", "proxy"),
    "unknown": (Answer(418, said("I am\x09one\n" + "!" * 999)), "the store answered HTTP 418: I am one !!!", ""),
    "credentials": (Answer(401, said("Invalid Credentials", "authError")), "and none are used", "anonymous=true"),
}


@pytest.mark.parametrize(("answer", "says", "advises"), ANSWERED.values(), ids=ANSWERED.keys())
def test_answers_of_a_store_or_what_stands_before_it(
    bucket: Bucket, context: TestContext, proxy: Proxy, answer: Answer, says: str, advises: str
) -> None:
    proxy.answer("/o?", answer)
    error = failure(RegistryError, catalog_of(bucket.url, context, retry_seconds=0.1).versions)
    assert error.message.startswith(f"listing the versions in {bucket.url} failed: ")
    assert says in error.message
    assert advises in error.hint
    assert len(error.message) < 600


def test_store_that_is_down_for_a_moment_is_asked_again(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    bucket.publish("v1.0.0", {"app": b"1"})
    proxy.answer("/o?", Answer(503, said("Backend Error")), times=2)
    assert [version.tag for version in catalog_of(bucket.url, context).versions()] == ["v1.0.0"]


def test_store_that_stays_down_is_not_asked_for_long(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """The core backs off between polls; a poll does not."""
    proxy.answer("/o?", Answer(503, said("Backend Error")))
    started = time.monotonic()
    failure(RegistryError, catalog_of(bucket.url, context).versions)
    assert time.monotonic() - started < 6
    assert proxy.count("GET") < 10


def test_store_that_accepts_and_never_answers(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Each call has a time-out."""
    proxy.stall("/o", times=100)
    started = time.monotonic()
    quick: dict[str, Any] = {"read_seconds": 0.3, "retry_seconds": 0.1}
    error = failure(RegistryError, catalog_of(bucket.url, context, **quick).versions)
    assert "did not answer in time" in error.message
    artifact = artifact_of(bucket.url_of("app"), context, **quick)
    error = failure(ArtifactError, lambda: artifact.download(WriteOnly().as_binary_io()))
    assert "did not answer in time" in error.message
    assert time.monotonic() - started < 5


def test_time_outs_leave_room_in_the_core_s_patience() -> None:
    """A stalled transfer is taken up before dewy gives it up: after a minute without a byte."""
    access = Access.from_environ(Store(), {})
    assert access.read_seconds + 2 * (access.connect_seconds + access.read_seconds) + access.retry_seconds < 60


def test_tls_that_is_none(bucket: Bucket, tmp_path: Path) -> None:
    """``https`` at a port that speaks ``http``: nothing that passes by itself."""
    context = TestContext(tmp_path, {"STORAGE_EMULATOR_HOST": bucket.server.endpoint.replace("http://", "https://")})
    started = time.monotonic()
    error = failure(RegistryError, catalog_of(bucket.url, context, retry_seconds=60).versions)
    assert "no safe connection to the store at 127.0.0.1" in error.message
    assert "REQUESTS_CA_BUNDLE" in error.hint
    assert time.monotonic() - started < 5


CREDENTIALS: dict[str, tuple[auth.GoogleAuthError, str]] = {
    "none": (auth.DefaultCredentialsError("Your default credentials were not found. To set up …"), "there are no Google"),
    "no file": (auth.DefaultCredentialsError("File /etc/key.json was not found."), "File /etc/key.json was not found"),
    "revoked": (
        auth.RefreshError("invalid_grant: Token has been expired or revoked.", {"error": "invalid_grant"}),
        "could not be renewed: invalid_grant: Token has been expired or revoked",
    ),
    "clock": (auth.RefreshError("invalid_grant: Invalid JWT: check your iat\nand exp values"), "Invalid JWT"),
    "metadata": (auth.TransportError("Failed to retrieve http://metadata from the metadata service"), "Failed to retrieve"),
    "certificate": (auth.MutualTLSChannelError(ValueError("bad key")), "bad key"),
    "anonymous": (auth.InvalidOperation("Anonymous credentials cannot be refreshed."), "none are used"),
}


@pytest.mark.parametrize(("error", "says"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_errors_about_credentials_are_sentences(error: auth.GoogleAuthError, says: str) -> None:
    """And have them looked for anew at the next poll."""
    fault = fault_of(error)
    assert fault.credentials
    assert says in fault.reason
    assert fault.hint
    check_sentence(DewyError(f"listing failed: {fault.reason}", fault.hint))
    assert "timedatectl" in fault.hint or "JWT" not in fault.reason


def test_what_may_pass_by_itself() -> None:
    """The network and an overloaded store; never a refusal."""
    passing = [
        api.ServiceUnavailable("x"),
        api.TooManyRequests("x"),
        requests.ReadTimeout("x"),
        urllib3.exceptions.ProtocolError("x"),
        api.RetryError("gave up", requests.ConnectionError("x")),
        auth.TransportError(requests.ConnectionError("x")),
    ]
    lasting = [
        api.Forbidden("x"),
        api.NotFound("x"),
        api.RetryError("gave up", api.Forbidden("x")),
        requests.exceptions.SSLError("bad"),
        auth.RefreshError("x"),
        ValueError(),
    ]
    assert [fault_of(error).passing for error in passing] == [True] * len(passing)
    assert [fault_of(error).passing for error in lasting] == [False] * len(lasting)


def test_roles_in_the_readme_are_what_the_error_names() -> None:
    """Who is denied finds the cure there."""
    readme = Path(__file__).parent.parent.joinpath("README.md").read_text()
    assert set(re.findall(r"roles/storage\.\w+", readme)) == {"roles/storage.objectViewer", "roles/storage.objectCreator"}
    hint = fault_of(api.Forbidden("x")).hint
    assert "Storage Object Viewer" in hint
    assert "Storage Object Creator" in hint
