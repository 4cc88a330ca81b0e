"""What dewy makes of an object store's lists, and of the keys in URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import DewyError, RegistryError, UsageError
from dewy.objectstore import (
    Fault,
    ListedObject,
    ObjectCatalog,
    ObjectStoreError,
    object_artifact,
    object_catalog,
)
from dewy.objectstore.keys import is_plain_name, prefix_in
from dewy.testing.failures import check_sentence
from dewy.types import ListedFile, ListedVersion
from dewy.urls import parse_url
from object_buckets import Bucket, Releases

ENTRY = "shipped_to_web1_server_at_20240315T143022.000000000Z.txt"
V1 = ListedVersion("v1.0.0")


def catalog_of(bucket: Bucket, path: str) -> ObjectCatalog:
    return object_catalog(bucket, parse_url(bucket.url_of(path)), path)


def failure(call: Callable[[], object]) -> DewyError:
    with pytest.raises(RegistryError) as raised:
        call()
    check_sentence(raised.value)
    return raised.value


# ------------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("path", "prefix"), [("", ""), ("/", ""), ("a", "a/"), ("a/b/", "a/b/"), ("/a b//", "a b/"), ("...", ".../")]
)
def test_a_prefix_ends_with_one_slash_or_is_empty(path: str, prefix: str) -> None:
    assert prefix_in(parse_url("bucket://releases"), path) == prefix


@given(st.lists(st.sampled_from(["", ".", "..", "...", "a"]), max_size=4).map("/".join))
def test_no_part_of_a_prefix_is_dots_that_a_proxy_would_resolve(path: str) -> None:
    url = parse_url("bucket://releases")
    if {".", ".."} & set(path.split("/")):
        with pytest.raises(UsageError):
            prefix_in(url, path)
    else:
        assert prefix_in(url, path).strip("/") == path.strip("/")


@pytest.mark.parametrize("path", ["", "v1/", "/"])
def test_an_artifact_url_names_an_object_and_the_error_says_the_form(path: str) -> None:
    with pytest.raises(UsageError, match="bucket://releases names no object") as raised:
        object_artifact(Bucket("releases"), parse_url("bucket://releases"), path)
    assert "bucket://releases/KEY" in raised.value.hint


@pytest.mark.parametrize("open_", [object_catalog, object_artifact])
def test_dots_in_a_url_are_refused(open_: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match=r"'\.' or '\.\.' in its path") as raised:
        open_(Bucket("releases"), parse_url("bucket://releases/a/%2E%2E/b"), "a/../b")
    assert "whole prefix" in raised.value.hint


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\0", "\x1b[31m", "a\u2028b", "\ud800"])
def test_names_that_are_none(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["app", "...", ".hidden", "my app (1).zip", "приложение"])
def test_names_that_are_odd_but_names(name: str) -> None:
    assert is_plain_name(name)


# ------------------------------------------------------------------------------------------------------------------ lists


def test_a_whole_bucket_is_a_registry() -> None:
    bucket = Bucket("releases")
    bucket.put("v1.0.0/app", b"1")
    bucket.put("README", b"2")
    catalog = catalog_of(bucket, "")
    assert catalog.versions() == (V1,)
    (file,) = catalog.files(V1)
    assert (file.name, file.url, file.size) == ("app", "bucket://releases/v1.0.0/app", 1)


def test_files_have_all_that_the_store_states() -> None:
    stated = ListedObject(
        "myapp/v1.0.0/app", 3, "md5:900150983cd24fb0d6963f7d28e17f72", "7", datetime(2024, 3, 15, tzinfo=UTC)
    )

    class Stating(Bucket):
        def objects(self, prefix: str) -> Iterator[list[ListedObject]]:
            yield [stated]

    (file,) = catalog_of(Stating("releases"), "myapp").files(V1)
    assert file == ListedFile(
        "app", "bucket://releases/myapp/v1.0.0/app", stated.size, stated.digest, stated.fingerprint, stated.modified
    )


class AstrayBucket(Bucket):
    """A hostile one: what it lists is not what was asked for."""

    def folders(self, prefix: str) -> Iterator[list[str]]:
        yield [f"{prefix}{name}/" for name in ("..", ".", "", "v1\n", "a/b", "v1.0.0")]
        yield ["other/v9.9.9/", "", prefix, prefix.upper() + "v8.0.0/"]

    def objects(self, prefix: str) -> Iterator[list[ListedObject]]:
        names = ("..", ".", "a\nb", "\x1b[31mred", "\0", "deep/er", "", "\ud800", "app")
        yield [ListedObject(prefix + name) for name in names]
        yield [ListedObject(key) for key in ("elsewhere/app", "../../etc/passwd", prefix.upper() + "app")]


def test_keys_that_lead_astray_are_passed_over() -> None:
    """Nothing that is listed may name a file elsewhere or write control characters into a terminal."""
    catalog = catalog_of(AstrayBucket("releases"), "myapp")
    assert [version.tag for version in catalog.versions()] == ["v1.0.0"]
    (file,) = catalog.files(V1)
    assert (file.name, file.url) == ("app", "bucket://releases/myapp/v1.0.0/app")


class EndlessBucket(Bucket):
    """Says that there is more, for ever."""

    def folders(self, prefix: str) -> Iterator[list[str]]:
        return repeat([])

    def objects(self, prefix: str) -> Iterator[list[ListedObject]]:
        return repeat([])


def test_a_list_that_never_ends_is_given_up() -> None:
    catalog = catalog_of(EndlessBucket("releases"), "myapp")
    said = failure(catalog.versions).message
    assert said == "listing the versions in bucket://releases/myapp failed: the list does not end after 1000 pages"
    said = failure(lambda: catalog.files(V1)).message
    assert said.startswith("listing the files of v1.0.0 in bucket://releases/myapp failed: the list does not end")


def test_a_list_that_breaks_off_is_an_error_and_not_a_shorter_one() -> None:
    class Breaking(Bucket):
        def folders(self, prefix: str) -> Iterator[list[str]]:
            yield [f"{prefix}v1.0.0/"]
            raise ObjectStoreError(Fault("the connection broke off", "Mend it"))

    error = failure(catalog_of(Breaking("releases"), "myapp").versions)
    assert error.message == "listing the versions in bucket://releases/myapp failed: the connection broke off"
    assert error.hint == "Mend it"


# ---------------------------------------------------------------------------------------------------------- audit entries


def test_an_entry_that_is_there_stays() -> None:
    place = Releases()
    catalog = catalog_of(place.bucket, place.prefix)
    for content in ("first", "second"):
        catalog.attach(V1, ENTRY, content)
    assert place.bucket.content(f"{place.prefix}/v1.0.0/{ENTRY}")[0] == b"first"


def test_an_entry_that_cannot_be_stored_names_it_and_the_place() -> None:
    bucket = Bucket("releases")

    def deny(_operation: str, _key: str) -> None:
        raise ObjectStoreError(Fault("access is denied", "Ask for the right to write"))

    bucket.before = deny
    error = failure(lambda: catalog_of(bucket, "").attach(V1, "entry.txt", "x"))
    assert error.message == "storing entry.txt in bucket://releases failed: access is denied"


@pytest.mark.parametrize(("tag", "name"), [("..", ENTRY), ("a/b", ENTRY), ("", ENTRY), ("v1.0.0", ".."), ("v1.0.0", "a/b")])
def test_an_entry_goes_nowhere_else(tag: str, name: str) -> None:
    bucket = Bucket("releases")
    error = failure(lambda: catalog_of(bucket, "myapp").attach(ListedVersion(tag), name, "x"))
    assert "is not a f" in error.message
    assert bucket.stored == {}
