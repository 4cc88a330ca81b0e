"""What a person reads when S3 fails: what, on what, why, and what to do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore import exceptions

from dewy.errors import ArtifactError, DewyError, RegistryError
from dewy.testing import TestContext
from dewy.testing.failures import check_sentence
from dewy.testing.streams import WriteOnly
from dewy.types import ListedVersion
from dewy_registry_s3.connection import Access
from dewy_registry_s3.faults import fault_of
from dewy_registry_s3.location import Store
from s3_proxy import Answer, Proxy
from s3_store import Bucket, artifact_of, catalog_of


def failure(kind: type[DewyError], call: Callable[[], object]) -> DewyError:
    """The error of a call, which must be a good one."""
    with pytest.raises(kind) as raised:
        call()
    check_sentence(raised.value)
    assert "must-not-be-shown" not in f"{raised.value} {raised.value!r}"
    return raised.value


@dataclass
class Case:
    """A listing that fails."""

    says: str
    advises: str
    key: str | None = None
    secret: str | None = None
    bucket: str | None = None
    endpoint: str | None = None
    options: str = ""


REAL = {
    "no bucket": Case("there is no such bucket", "Create it", bucket="there-is-none"),
    "wrong key": Case("does not know the access key", "AWS_ACCESS_KEY_ID", key="nobody"),
    "wrong secret": Case("secret key does not belong", "AWS_SECRET_ACCESS_KEY", secret="wrong"),
    "denied": Case("access is denied", "s3:ListBucket", key="reader-access-key", secret="reader"),
    "anonymous": Case("access is denied", "s3:ListBucket", options="&anonymous=true"),
    "nobody there": Case(
        "no connection to the store at 127.0.0.1:1: Connection refused", "endpoint", endpoint="http://127.0.0.1:1"
    ),
    "no such host": Case(
        "no connection to the store at no-such-host.invalid", "endpoint", endpoint="http://no-such-host.invalid"
    ),
}


@pytest.mark.parametrize("case", REAL.values(), ids=REAL.keys())
def test_failures_of_a_real_store(bucket: Bucket, tmp_path: Path, case: Case) -> None:
    secret = bucket.server.reader_secret_key if case.secret == "reader" else case.secret
    environ = {
        "AWS_ACCESS_KEY_ID": case.key or bucket.server.access_key,
        "AWS_SECRET_ACCESS_KEY": secret or bucket.server.secret_key,
    }
    place = f"s3://us-east-1/{case.bucket or bucket.name}/{bucket.prefix}"
    url = f"{place}?endpoint={case.endpoint or bucket.endpoint}{case.options}"
    error = failure(RegistryError, catalog_of(url, TestContext(tmp_path, environ)).versions)
    assert error.message.startswith(f"listing the versions in {place}")
    assert case.says in error.message
    assert case.advises in error.hint


def test_missing_object(bucket: Bucket, context: TestContext) -> None:
    artifact = artifact_of(bucket.missing(), context)
    error = failure(ArtifactError, lambda: artifact.download(WriteOnly().as_binary_io()))
    assert "there is no such object" in error.message


def test_denied_audit_entry(bucket: Bucket, tmp_path: Path) -> None:
    """A host that may only read says what it lacks."""
    server = bucket.server
    environ = {"AWS_ACCESS_KEY_ID": server.reader_access_key, "AWS_SECRET_ACCESS_KEY": server.reader_secret_key}
    catalog = catalog_of(f"s3://us-east-1/readable?endpoint={bucket.endpoint}", TestContext(tmp_path, environ))
    assert list(catalog.versions()) == []
    error = failure(RegistryError, lambda: catalog.attach(ListedVersion("v1.0.0"), "entry.txt", "x"))
    assert "storing entry.txt in s3://us-east-1/readable" in error.message
    assert "s3:PutObject" in error.hint


def test_public_bucket_without_credentials(bucket: Bucket, tmp_path: Path) -> None:
    """``anonymous=true`` asks for no credentials, and the artifact's URL says so too."""
    bucket.client.put_object(Bucket="public", Key=f"{bucket.prefix}/v1.0.0/app", Body=b"free")
    context = TestContext(tmp_path, {})
    catalog = catalog_of(f"s3://us-east-1/public/{bucket.prefix}?endpoint={bucket.endpoint}&anonymous=true", context)
    (version,) = catalog.versions()
    (file,) = catalog.files(version)
    to = WriteOnly()
    artifact_of(file.url, context).download(to.as_binary_io())
    assert to.content == b"free"


def said(code: str, message: str = "No.", more: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


ANSWERED = {
    "expired": (Answer(400, said("ExpiredToken")), "the credentials have expired", "Renew them"),
    "bad token": (Answer(400, said("InvalidToken")), "the session token is not valid", "Renew them"),
    "clock": (Answer(403, said("RequestTimeTooSkewed")), "clock differs", "timedatectl"),
    "busy": (Answer(503, said("SlowDown")), "asks to slow down", "tries again"),
    "region": (
        Answer(400, said("AuthorizationHeaderMalformed", more="<Region>eu-west-1</Region>")),
        "the bucket is in another region: eu-west-1",
        "s3://REGION/BUCKET",
    ),
    "proxy's page": (Answer(403, b"<h1>Forbidden</h1>", "text/html"), "not one of an S3 store (HTTP 403", "proxy"),
    "broken gateway": (Answer(502, b"<h1>Bad Gateway</h1>", "text/html"), "not one of an S3 store (HTTP 502", "proxy"),
    "unknown": (Answer(418, said("Teapot", "I am\x09one\n" + "!" * 999)), "answered Teapot (HTTP 418): I am one !!!", ""),
}


@pytest.mark.parametrize(("answer", "says", "advises"), ANSWERED.values(), ids=ANSWERED.keys())
def test_answers_of_a_store_or_what_stands_before_it(
    bucket: Bucket, context: TestContext, proxy: Proxy, answer: Answer, says: str, advises: str
) -> None:
    proxy.answer("list-type=2", answer)
    error = failure(RegistryError, catalog_of(bucket.url, context).versions)
    assert says in error.message
    assert advises in error.hint
    assert len(error.message) < 600


def test_archived_object(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    proxy.answer("app", Answer(403, said("InvalidObjectState")))
    artifact = artifact_of(bucket.url_of("app"), context)
    error = failure(ArtifactError, lambda: artifact.download(WriteOnly().as_binary_io()))
    assert "archived" in error.message


def test_store_that_accepts_and_never_answers(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Each call has a time-out."""
    proxy.stall("list-type=2", times=100)
    catalog = catalog_of(bucket.url, context, read_seconds=0.3)
    started = time.monotonic()
    error = failure(RegistryError, catalog.versions)
    assert "did not answer in time" in error.message
    assert time.monotonic() - started < 5


def test_time_outs_leave_room_in_the_core_s_patience() -> None:
    """A stalled transfer is taken up before dewy gives it up: after a minute without a byte."""
    access = Access.from_environ(Store("us-east-1"), {})
    assert access.read_seconds + 2 * (access.connect_seconds + access.read_seconds) < 60


def test_tls_that_is_none(bucket: Bucket, context: TestContext) -> None:
    """``https`` at a port that speaks ``http``."""
    url = bucket.url.replace("http://", "https://")
    error = failure(RegistryError, catalog_of(url, context).versions)
    assert "no safe connection to the store at 127.0.0.1" in error.message
    assert "AWS_CA_BUNDLE" in error.hint


def test_sdk_errors_about_credentials_are_sentences() -> None:
    """What role, profile and single sign-on bring with them."""
    for error in (
        exceptions.NoCredentialsError(),
        exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        exceptions.ProfileNotFound(profile="prod"),
        exceptions.CredentialRetrievalError(provider="process", error_msg="no\nsuch file"),
        exceptions.UnauthorizedSSOTokenError(),
        exceptions.MetadataRetrievalError(error_msg="timed out"),
        FileNotFoundError(2, "No such file or directory", "credential-helper"),
    ):
        fault = fault_of(error)
        assert fault.credentials, f"{error!r}: other credentials may help"
        check_sentence(DewyError(f"listing failed: {fault.reason}", fault.hint))


def test_what_may_pass_by_itself() -> None:
    """The network and an overloaded store; never a refusal."""

    def answered(code: str, status: int) -> exceptions.ClientError:
        return exceptions.ClientError(
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
            "GetObject",
        )

    passing = [
        answered("InternalError", 500),
        answered("TooManyRequests", 429),
        exceptions.ReadTimeoutError(endpoint_url="x"),
    ]
    lasting = [answered("AccessDenied", 403), exceptions.SSLError(endpoint_url="x", error="bad"), ValueError()]
    assert [fault_of(error).passing for error in passing] == [True] * 3
    assert [fault_of(error).passing for error in lasting] == [False] * 3


def test_policy_in_the_readme_is_what_the_error_names() -> None:
    """Who is denied finds the cure there."""
    readme = Path(__file__).parent.parent.joinpath("README.md").read_text()
    policy = json.loads(readme.partition("```json\n")[2].partition("```")[0])
    granted = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert granted == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
