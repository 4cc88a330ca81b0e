"""Listing and attaching, on a real S3 server and on one that misbehaves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dewy.errors import RegistryError
from dewy.objectstore import ObjectCatalog
from dewy.testing import TestContext
from dewy.types import ListedVersion
from s3_proxy import Answer, Proxy
from s3_store import Bucket, catalog_of

ENTRY = "shipped_to_web1_server_at_20240315T143022.000000000Z.txt"


@pytest.fixture
def catalog(bucket: Bucket, context: TestContext) -> ObjectCatalog:
    return catalog_of(bucket.url, context)


def tags(catalog: ObjectCatalog) -> set[str]:
    return {version.tag for version in catalog.versions()}


def names(catalog: ObjectCatalog, tag: str) -> set[str]:
    return {file.name for file in catalog.files(ListedVersion(tag))}


def test_more_versions_than_a_page_holds(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """A page of S3 has 1,000 entries; 1,200 are listed soon, each once."""
    expected = {f"v1.{number}.0" for number in range(1200)}
    bucket.put_keys({f"{bucket.prefix}/{tag}/app": b"x" for tag in expected})
    started = time.monotonic()
    listed = [version.tag for version in catalog.versions()]
    assert sorted(listed) == sorted(expected)
    assert time.monotonic() - started < 5


def test_what_lies_beside_the_prefix_is_not_listed(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """Not the neighbour whose name begins the same, not loose objects, not what lies deeper."""
    bucket.publish("v1.0.0", {"app": b"1", "deeper/other": b"2"})
    for key in (f"{bucket.prefix}-other/v9.0.0/app", f"{bucket.prefix}/loose", f"{bucket.prefix}"):
        bucket.put_key(key, b"x")
    assert tags(catalog) == {"v1.0.0"}
    assert names(catalog, "v1.0.0") == {"app"}


def test_versions_at_the_top_of_a_bucket(bucket: Bucket, context: TestContext) -> None:
    """``s3://region/bucket`` alone."""
    bucket.client.create_bucket(Bucket="top-level")
    bucket.client.put_object(Bucket="top-level", Key="v1.0.0/app", Body=b"1")
    bucket.client.put_object(Bucket="top-level", Key="README", Body=b"2")
    catalog = catalog_of(f"s3://us-east-1/top-level?endpoint={bucket.endpoint}", context)
    assert tags(catalog) == {"v1.0.0"}
    (file,) = catalog.files(ListedVersion("v1.0.0"))
    assert file.url == f"s3://us-east-1/top-level/v1.0.0/app?endpoint={bucket.endpoint}"


def test_folder_markers_are_no_files(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """Consoles make an empty object ``v1.0.0/`` for a folder."""
    bucket.put_key(f"{bucket.prefix}/v1.0.0/", b"")
    assert names(catalog, "v1.0.0") == set()
    bucket.publish("v1.0.0", {"app": b"1"})
    assert names(catalog, "v1.0.0") == {"app"}


def test_endpoint_from_the_environment(bucket: Bucket, tmp_path: Path) -> None:
    bucket.publish("v1.0.0", {"app": b"1"})
    context = TestContext(tmp_path, {**bucket.server.environ, "AWS_ENDPOINT_URL_S3": bucket.endpoint})
    assert tags(catalog_of(f"s3://us-east-1/{bucket.name}/{bucket.prefix}", context)) == {"v1.0.0"}


LISTING = """<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated><Prefix/>
<EncodingType>url</EncodingType>{entries}</ListBucketResult>"""


def test_keys_that_lead_astray_are_passed_over(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """A hostile store: nothing it lists may name a file elsewhere or write control characters into a terminal."""
    folder = f"{bucket.prefix}/v1.0.0/"
    keys = [folder + name for name in ("..", ".", "a%0Ab", "%1B%5B31mred", "%00", "deep/er", "", "app")]
    keys += ["elsewhere/app", "../../etc/passwd", folder.upper() + "app"]
    entries = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    prefixes = [f"{bucket.prefix}/{tag}/" for tag in ("..", ".", "", "v1%0A", "v1.0.0")] + ["other/v9.9.9/", ""]
    entries += "".join(f"<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>" for prefix in prefixes)
    proxy.answer("list-type=2", Answer(200, LISTING.format(entries=entries).encode()))
    catalog = catalog_of(bucket.url, context)
    assert tags(catalog) == {"v1.0.0"}
    (file,) = catalog.files(ListedVersion("v1.0.0"))
    assert (file.name, file.size, file.fingerprint, file.modified) == ("app", 1, None, None)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<!DOCTYPE html><html><body><p>Sign in<br></body></html>", "text/html"),
        Answer(200, b"<html><body>Sign in</body></html>", "text/html"),
        Answer(200, b'{"message": "hello"}', "application/json"),
        Answer(200, b""),
        Answer(200, LISTING.format(entries="<Contents><Key>cut o").encode()),
    ],
    ids=["html", "html that is xml", "json", "nothing", "half a listing"],
)
def test_another_answer_is_never_an_empty_list(bucket: Bucket, context: TestContext, proxy: Proxy, answer: Answer) -> None:
    """An empty list would take the running version away (R26): a login page must not be one."""
    proxy.answer("list-type=2", answer)
    with pytest.raises(RegistryError, match="not one of an S3 store") as raised:
        catalog_of(bucket.url, context).versions()
    assert "proxy" in raised.value.hint or "endpoint" in raised.value.hint


def test_listing_that_breaks_off_is_an_error(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """And not a shorter list."""
    bucket.publish("v1.0.0", {"app": b"1"})
    proxy.cut("list-type=2", after=0.5, times=10)
    with pytest.raises(RegistryError, match=r"listing the versions in s3://.* failed"):
        catalog_of(bucket.url, context).versions()


def test_listing_that_never_ends_is_given_up(
    bucket: Bucket, context: TestContext, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that says there is more, for ever."""
    monkeypatch.setattr("dewy.objectstore.catalog._MOST_PAGES", 5)
    for page in range(10):
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{page}</NextContinuationToken>"
        body = f"<ListBucketResult>{more}</ListBucketResult>".encode()
        proxy.answer("list-type=2", Answer(200, body), times=1)
    with pytest.raises(RegistryError, match="does not end after 5 pages"):
        catalog_of(bucket.url, context).versions()


# --------------------------------------------------------------------------------------------------------- audit entries


def entry_of(bucket: Bucket) -> tuple[bytes, str]:
    stored = bucket.client.get_object(Bucket=bucket.name, Key=f"{bucket.prefix}/v1.0.0/{ENTRY}")
    return stored["Body"].read(), stored["ContentType"]


def test_entry_is_a_text_object_beside_the_artifact(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """R29, where other programs look for it."""
    bucket.publish("v1.0.0", {"app": b"1"})
    catalog.attach(ListedVersion("v1.0.0"), ENTRY, "deployed\n")
    assert entry_of(bucket) == (b"deployed\n", "text/plain")


def test_entry_that_is_there_stays(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """An entry is never overwritten, and its being there is no error."""
    for content in ("first", "second"):
        catalog.attach(ListedVersion("v1.0.0"), ENTRY, content)
    assert entry_of(bucket)[0] == b"first"


def test_store_without_conditional_writes(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """An older store answers 501 to a condition: then it is written without one."""
    unknown = b"<Error><Code>NotImplemented</Code><Message>A header you provided is not implemented</Message></Error>"
    proxy.answer(ENTRY, Answer(501, unknown), times=1)
    catalog_of(bucket.url, context).attach(ListedVersion("v1.0.0"), ENTRY, "deployed\n")
    assert entry_of(bucket)[0] == b"deployed\n"
