"""S3 URLs: what they mean, and that what dewy writes it can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.urls import parse_url
from dewy_registry_s3.location import Location, Store, is_plain_name
from dewy_registry_s3.plugin import ARTIFACT, REGISTRY

ENDPOINT = "http://127.0.0.1:8333"


def registry(url: str, environ: dict[str, str] | None = None) -> Location:
    return Location.of_registry(parse_url(url, REGISTRY.options), environ or {})


def artifact(url: str, environ: dict[str, str] | None = None) -> Location:
    return Location.of_artifact(parse_url(url, ARTIFACT.options), environ or {})


parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..")
)
stores = st.builds(
    Store,
    st.sampled_from(["us-east-1", "eu-central-2", "us-gov-west-1"]),
    st.sampled_from([None, ENDPOINT, "https://[::1]:9000", "https://s3.example.com/base path/"]),
    st.booleans(),
)


@given(stores, st.lists(parts, min_size=1, max_size=4).map("/".join))
def test_artifact_urls_are_read_as_they_were_written(store: Store, key: str) -> None:
    """Whatever the key: artifact URLs travel between hosts."""
    location = Location(store, "releases", key)
    assert artifact(Location(store, "releases").url_of(key)) == location


def test_form_of_artifact_urls_is_fixed() -> None:
    """Other people's programs read them."""
    url = registry(f"s3://us-east-1/releases/my%20app?endpoint={ENDPOINT}").url_of("my app/v1/a+b#1.zip")
    assert url == f"s3://us-east-1/releases/my%20app/v1/a%2Bb%231.zip?endpoint={ENDPOINT}"
    assert registry("s3://eu-west-3/releases").url_of("v1/app") == "s3://eu-west-3/releases/v1/app"


@pytest.mark.parametrize(
    ("url", "bucket", "folder"),
    [
        ("s3://us-east-1/releases", "releases", ""),
        ("s3://us-east-1/releases/", "releases", ""),
        ("s3://us-east-1/releases/myapp", "releases", "myapp/"),
        ("s3://us-east-1/releases/a/b/", "releases", "a/b/"),
        ("s3://us-east-1/releases/a%20b", "releases", "a b/"),
        ("s3://us-gov-west-1/old_Bucket.name/x", "old_Bucket.name", "x/"),
        ("s3://US-EAST-1/releases", "releases", ""),
    ],
)
def test_registry_urls_name_a_bucket_and_a_folder(url: str, bucket: str, folder: str) -> None:
    location = registry(url)
    assert (location.bucket, location.folder) == (bucket, folder)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://", "names no bucket"),
        ("s3:///releases/myapp", "names no region"),
        ("s3://us-east-1", "names no bucket"),
        ("s3://us-east-1/", "names no bucket"),
        ("s3://us-east-1//myapp", "names no bucket"),
        ("s3://my-releases/myapp", "'my-releases' .* is not a region of Amazon's"),
        ("s3://us_east_1/releases", "is not a region"),
        ("s3://12345/releases?endpoint=http://127.0.0.1:8333", "is not a region"),
        ("s3://us-east-1/re:leases/x", "cannot be the name of a bucket"),
        ("s3://us-east-1/releases/a/../b", "'.' or '..' in its path"),
        ("s3://us-east-1/releases/%2E%2E/b", "'.' or '..' in its path"),
        ("s3://us-east-1:9000/releases", "a port where a region stands"),
        ("s3://AKIAEXAMPLE:hidden-secret@us-east-1/releases", "user name in it"),
        ("s3://us-east-1/releases?endpoint=ftp://127.0.0.1", "not an http or https address"),
        ("s3://us-east-1/releases?endpoint=http://", "not an http or https address"),
        ("s3://us-east-1/releases?endpoint=http://host:99999", "not an http or https address"),
        ("s3://us-east-1/releases?endpoint=http://host/%3Fa=b", "not an http or https address"),
        ("s3://us-east-1/releases?endpoint=http://key:hidden-secret@host", "user name or password in it"),
    ],
)
def test_wrong_urls_are_refused_with_a_reason_and_a_cure(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        registry(url)
    assert raised.value.hint
    assert "hidden-secret" not in f"{raised.value} {raised.value!r}"


@pytest.mark.parametrize("url", ["s3://us-east-1/releases", "s3://us-east-1/releases/", "s3://us-east-1/releases/v1/"])
def test_artifact_url_must_name_an_object(url: str) -> None:
    with pytest.raises(UsageError, match="names no object"):
        artifact(url)


@pytest.mark.parametrize(
    ("query", "environ", "endpoint"),
    [
        ("", {}, None),
        ("", {"AWS_ENDPOINT_URL": "http://all"}, "http://all"),
        ("", {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_S3": "http://s3"}, "http://s3"),
        ("?endpoint=http://url", {"AWS_ENDPOINT_URL_S3": "http://s3"}, "http://url"),
        ("", {"AWS_ENDPOINT_URL": "http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
        ("", {"AWS_ENDPOINT_URL": ""}, None),
    ],
)
def test_endpoint_comes_from_the_url_or_the_environment(query: str, environ: dict[str, str], endpoint: str | None) -> None:
    """The nearest wins, as in the AWS SDKs; artifact URLs name it, for they may be read on another host."""
    location = registry(f"s3://us-east-1/releases{query}", environ)
    assert location.store.endpoint == endpoint
    assert artifact(location.url_of("app")).store == location.store


def test_compatible_stores_name_their_regions_as_they_like() -> None:
    assert registry(f"s3://garage/releases?endpoint={ENDPOINT}").store.region == "garage"
    assert registry("s3://auto/releases", {"AWS_ENDPOINT_URL": ENDPOINT}).store.region == "auto"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\0", "\x1b[31m", "a\u2028b"])
def test_names_that_are_none(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["app", "...", ".hidden", "my app (1).zip", "приложение"])
def test_names_that_are_odd_but_names(name: str) -> None:
    assert is_plain_name(name)
