"""Listing and attaching, on a real server of the API and on one that misbehaves."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from dewy.errors import RegistryError
from dewy.objectstore import ObjectCatalog
from dewy.testing import TestContext
from dewy.types import ListedVersion
from gs_store import Bucket, catalog_of
from s3_proxy import Answer, Proxy

ENTRY = "shipped_to_web1_server_at_20240315T143022.000000000Z.txt"


@pytest.fixture
def catalog(bucket: Bucket, context: TestContext) -> ObjectCatalog:
    return catalog_of(bucket.url, context)


def tags(catalog: ObjectCatalog) -> set[str]:
    return {version.tag for version in catalog.versions()}


def names(catalog: ObjectCatalog, tag: str) -> set[str]:
    return {file.name for file in catalog.files(ListedVersion(tag))}


def listing(**fields: object) -> Answer:
    return Answer(200, json.dumps({"kind": "storage#objects", **fields}).encode(), "application/json")


def test_more_versions_than_a_page_holds(bucket: Bucket, catalog: ObjectCatalog, proxy: Proxy) -> None:
    """A page has 1,000 entries; 1,100 are listed soon, each once."""
    expected = {f"v1.{number}.0" for number in range(1100)}
    bucket.put_keys({f"{bucket.prefix}/{tag}/app": b"x" for tag in expected})
    started = time.monotonic()
    listed = [version.tag for version in catalog.versions()]
    assert sorted(listed) == sorted(expected)
    assert time.monotonic() - started < 5
    assert proxy.count("GET") == 2


def test_what_lies_beside_the_prefix_is_not_listed(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """Not the neighbour whose name begins the same, not loose objects, not what lies deeper."""
    bucket.publish("v1.0.0", {"app": b"1", "deeper/other": b"2"})
    for key in (f"{bucket.prefix}-other/v9.0.0/app", f"{bucket.prefix}/loose", f"{bucket.prefix}"):
        bucket.put_key(key, b"x")
    assert tags(catalog) == {"v1.0.0"}
    assert names(catalog, "v1.0.0") == {"app"}


def test_versions_at_the_top_of_a_bucket(bucket: Bucket, context: TestContext) -> None:
    """``gs://bucket`` alone."""
    top = bucket.client.create_bucket("top-level")
    top.blob("v1.0.0/app").upload_from_string(b"1")
    top.blob("README").upload_from_string(b"2")
    catalog = catalog_of("gs://top-level", context)
    assert tags(catalog) == {"v1.0.0"}
    (file,) = catalog.files(ListedVersion("v1.0.0"))
    assert file.url == "gs://top-level/v1.0.0/app"


def test_folder_markers_are_no_files(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """The console makes an empty object ``v1.0.0/`` for a folder."""
    bucket.put_key(f"{bucket.prefix}/v1.0.0/", b"")
    assert names(catalog, "v1.0.0") == set()
    bucket.publish("v1.0.0", {"app": b"1"})
    assert names(catalog, "v1.0.0") == {"app"}


def test_files_have_all_that_the_store_states(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """The MD5 as a digest, the generation as what changes with the bytes."""
    bucket.publish("v1.0.0", {"app": b"the bytes"})
    (file,) = catalog.files(ListedVersion("v1.0.0"))
    stored = bucket.blob(f"{bucket.prefix}/v1.0.0/app")
    stored.reload()
    assert (file.size, file.digest) == (9, f"md5:{hashlib.md5(b'the bytes').hexdigest()}")
    assert file.fingerprint == str(stored.generation)
    assert file.modified == stored.updated


def test_composite_objects_have_no_digest(bucket: Bucket, catalog: ObjectCatalog) -> None:
    """What was uploaded in parts and put together; it is still told from other bytes."""
    bucket.publish("v1.0.0", {"app.1": b"the ", "app.2": b"bytes"})
    folder = f"{bucket.prefix}/v1.0.0"
    bucket.blob(f"{folder}/app").compose([bucket.blob(f"{folder}/app.1"), bucket.blob(f"{folder}/app.2")])
    app = next(file for file in catalog.files(ListedVersion("v1.0.0")) if file.name == "app")
    assert (app.size, app.digest) == (9, None)
    assert app.fingerprint


def test_polls_ask_for_no_more_than_they_need(bucket: Bucket, catalog: ObjectCatalog, proxy: Proxy) -> None:
    """R30: not for the owner, the access list and the labels of every object."""
    bucket.publish("v1.0.0", {"app": b"1"})
    (version,) = catalog.versions()
    catalog.files(version)
    assert len(proxy.requests) == 2
    assert all("fields=" in path and "delimiter=%2F" in path for _, path, _ in proxy.requests)


def test_keys_that_lead_astray_are_passed_over(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """A hostile store: nothing it lists may name a file elsewhere or write control characters into a terminal."""
    folder = f"{bucket.prefix}/v1.0.0/"
    keys = [folder + name for name in ("..", ".", "a\nb", "\x1b[31mred", "\0", "deep/er", "", "\ud800", "app")]
    keys += ["elsewhere/app", "../../etc/passwd", folder.upper() + "app"]
    items = [{"name": key, "size": "1", "mediaLink": "http://127.0.0.1:1/"} for key in keys]
    prefixes = [f"{bucket.prefix}/{tag}/" for tag in ("..", ".", "", "v1\n", "v1.0.0")] + ["other/v9.9.9/", ""]
    proxy.answer("/o?", listing(prefixes=prefixes, items=[*items, "app", None, {}, {"name": 7}]))
    catalog = catalog_of(bucket.url, context)
    assert tags(catalog) == {"v1.0.0"}
    (file,) = catalog.files(ListedVersion("v1.0.0"))
    assert (file.name, file.url) == ("app", bucket.url_of(f"{folder}app"))
    assert (file.size, file.digest, file.fingerprint, file.modified) == (1, None, None, None)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<!DOCTYPE html><html><body><p>Sign in<br></body></html>", "text/html"),
        Answer(200, b'{"message": "hello"}', "application/json"),
        Answer(200, b'["hello"]', "application/json"),
        Answer(200, b""),
        Answer(200, b'{"kind": "storage#objects", "prefixes": ["cut o', "application/json"),
        listing(prefixes=7),
        listing(items=7),
        listing(prefixes=[{}]),
    ],
    ids=["html", "another json", "a list", "nothing", "half a listing", "prefixes", "items", "prefix"],
)
def test_another_answer_is_never_an_empty_list(bucket: Bucket, context: TestContext, proxy: Proxy, answer: Answer) -> None:
    """An empty list would take the running version away (R26): a login page must not be one."""
    proxy.answer("/o?", answer)
    with pytest.raises(RegistryError, match="not one of Google Cloud Storage") as raised:
        catalog_of(bucket.url, context).versions()
    assert "proxy" in raised.value.hint


def test_listing_that_breaks_off_is_an_error(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """And not a shorter list."""
    bucket.publish("v1.0.0", {"app": b"1"})
    proxy.cut("/o?", after=0.5, times=100)
    with pytest.raises(RegistryError, match=r"listing the versions in gs://.* failed: .* broke off"):
        catalog_of(bucket.url, context, retry_seconds=0.5).versions()


def test_listing_that_breaks_off_once_is_asked_for_again(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    bucket.publish("v1.0.0", {"app": b"1"})
    proxy.cut("/o?", after=0.5, times=1)
    assert tags(catalog_of(bucket.url, context)) == {"v1.0.0"}


def test_listing_that_never_ends_is_given_up(
    bucket: Bucket, context: TestContext, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that says there is more, for ever."""
    monkeypatch.setattr("dewy.objectstore.catalog._MOST_PAGES", 5)
    proxy.answer("/o?", listing(nextPageToken="more"))
    with pytest.raises(RegistryError, match="does not end after 5 pages"):
        catalog_of(bucket.url, context).versions()


# --------------------------------------------------------------------------------------------------------- audit entries


def entry_of(bucket: Bucket) -> tuple[bytes, str]:
    blob = bucket.blob(f"{bucket.prefix}/v1.0.0/{ENTRY}")
    content = blob.download_as_bytes()
    blob.reload()
    return content, blob.content_type


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
