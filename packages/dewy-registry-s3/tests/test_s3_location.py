"""S3 URLs: what they mean, and that what dewy writes it can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.urls import parse_url
from dewy_registry_s3.location import Bucket, Store, locate
from dewy_registry_s3.plugin import ARTIFACT, REGISTRY

ENDPOINT = "http://127.0.0.1:8333"


def registry(url: str, environ: dict[str, str] | None = None) -> tuple[Bucket, str]:
    return locate(parse_url(url, REGISTRY.options), environ or {})


def artifact(url: str, environ: dict[str, str] | None = None) -> tuple[Bucket, str]:
    return locate(parse_url(url, ARTIFACT.options), environ or {})


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
    bucket = Bucket(store, "releases")
    assert artifact(bucket.url_of(key)) == (bucket, key)


def test_form_of_artifact_urls_is_fixed() -> None:
    """Other people's programs read them."""
    bucket, _ = registry(f"s3://us-east-1/releases/my%20app?endpoint={ENDPOINT}")
    url = bucket.url_of("my app/v1/a+b#1.zip")
    assert url == f"s3://us-east-1/releases/my%20app/v1/a%2Bb%231.zip?endpoint={ENDPOINT}"
    bucket, _ = registry("s3://eu-west-3/releases")
    assert bucket.url_of("v1/app") == "s3://eu-west-3/releases/v1/app"


@pytest.mark.parametrize(
    ("url", "name", "path"),
    [
        ("s3://us-east-1/releases", "releases", ""),
        ("s3://us-east-1/releases/", "releases", ""),
        ("s3://us-east-1/releases/myapp", "releases", "myapp"),
        ("s3://us-east-1/releases/a/b/", "releases", "a/b/"),
        ("s3://us-east-1/releases/a%20b", "releases", "a b"),
        ("s3://us-gov-west-1/old_Bucket.name/x", "old_Bucket.name", "x"),
        ("s3://US-EAST-1/releases", "releases", ""),
    ],
)
def test_registry_urls_name_a_bucket_and_a_prefix(url: str, name: str, path: str) -> None:
    bucket, found = registry(url)
    assert (bucket.name, found) == (name, path)


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
    bucket, _ = registry(f"s3://us-east-1/releases{query}", environ)
    assert bucket.store.endpoint == endpoint
    assert artifact(bucket.url_of("app")) == (bucket, "app")


def test_compatible_stores_name_their_regions_as_they_like() -> None:
    garage, _ = registry(f"s3://garage/releases?endpoint={ENDPOINT}")
    auto, _ = registry("s3://auto/releases", {"AWS_ENDPOINT_URL": ENDPOINT})
    assert (garage.store.region, auto.store.region) == ("garage", "auto")
