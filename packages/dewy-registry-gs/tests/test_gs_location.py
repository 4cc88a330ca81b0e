"""URLs of Google Cloud Storage: what they mean, and that what dewy writes it can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.urls import parse_url
from dewy_registry_gs.location import Bucket, Store, locate
from dewy_registry_gs.plugin import ARTIFACT, REGISTRY

EMULATOR = "http://127.0.0.1:9023"


def registry(url: str, environ: dict[str, str] | None = None) -> tuple[Bucket, str]:
    return locate(parse_url(url, REGISTRY.options), environ or {})


def artifact(url: str, environ: dict[str, str] | None = None) -> tuple[Bucket, str]:
    return locate(parse_url(url, ARTIFACT.options), environ or {})


parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..")
)


@given(st.booleans(), st.lists(parts, min_size=1, max_size=4).map("/".join))
def test_artifact_urls_are_read_as_they_were_written(anonymous: bool, key: str) -> None:
    """Whatever the key: artifact URLs travel between hosts."""
    bucket = Bucket(Store(anonymous=anonymous), "releases")
    assert artifact(bucket.url_of(key)) == (bucket, key)


def test_form_of_artifact_urls_is_fixed() -> None:
    """Other people's programs read them; a host's emulator is not in them."""
    bucket, _ = registry("gs://releases/my%20app", {"STORAGE_EMULATOR_HOST": EMULATOR})
    assert bucket.url_of("my app/v1/a+b#1.zip") == "gs://releases/my%20app/v1/a%2Bb%231.zip"
    bucket, _ = registry("gs://releases?anonymous=true")
    assert bucket.url_of("v1/app") == "gs://releases/v1/app?anonymous=true"


@pytest.mark.parametrize(
    ("url", "name", "path"),
    [
        ("gs://releases", "releases", ""),
        ("gs://releases/", "releases", ""),
        ("gs://releases/myapp", "releases", "myapp"),
        ("gs://releases/a/b/", "releases", "a/b/"),
        ("gs://releases/a%20b", "releases", "a b"),
        ("gs://our_releases.example.com/x", "our_releases.example.com", "x"),
        ("gs://RELEASES/MyApp", "releases", "MyApp"),
        ("gs://123/x", "123", "x"),
    ],
)
def test_registry_urls_name_a_bucket_and_a_prefix(url: str, name: str, path: str) -> None:
    bucket, found = registry(url)
    assert (bucket.name, found) == (name, path)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("gs://", "names no bucket"),
        ("gs:///releases/myapp", "names no bucket"),
        ("gs://ab/myapp", "cannot be the name of a bucket"),
        ("gs://-releases/myapp", "cannot be the name of a bucket"),
        ("gs://rel%65ases%2Fx/myapp", "cannot be the name of a bucket"),
        ("gs://127.0.0.1:9023/releases", "a port in it"),
        ("gs://user:hidden-secret@releases/myapp", "user name in it"),
    ],
)
def test_wrong_urls_are_refused_with_a_reason_and_a_cure(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        registry(url)
    assert raised.value.hint
    assert "hidden-secret" not in f"{raised.value} {raised.value!r}"


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("", None),
        ("http://127.0.0.1:9023", EMULATOR),
        ("http://127.0.0.1:9023/", EMULATOR),
        ("127.0.0.1:9023", EMULATOR),
        ("localhost:9023", "http://localhost:9023"),
        ("https://[::1]:9023", "https://[::1]:9023"),
    ],
)
def test_emulator_comes_from_the_environment(said: str, address: str | None) -> None:
    """Google's clients do not agree on whether the scheme belongs to it."""
    environ = {"STORAGE_EMULATOR_HOST": said}
    bucket, _ = registry("gs://releases", environ)
    assert bucket.store.emulator == address
    assert artifact("gs://releases/app", environ) == (bucket, "app")


@pytest.mark.parametrize(
    "said", ["ftp://host", "http://", "http://host:99999", "http://host/?a=b", "http://u:hidden-secret@host", "a\x1bb:1"]
)
def test_emulator_that_is_no_address_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="STORAGE_EMULATOR_HOST is not") as raised:
        registry("gs://releases", {"STORAGE_EMULATOR_HOST": said})
    assert "unset it" in raised.value.hint
    assert "hidden-secret" not in f"{raised.value} {raised.value!r}"
