"""URLs of Google Cloud Storage: what they mean, and that what dewy writes it can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.urls import parse_url
from dewy_registry_gs.location import Location, Store, is_plain_name
from dewy_registry_gs.plugin import ARTIFACT, REGISTRY

EMULATOR = "http://127.0.0.1:9023"


def registry(url: str, environ: dict[str, str] | None = None) -> Location:
    return Location.of_registry(parse_url(url, REGISTRY.options), environ or {})


def artifact(url: str, environ: dict[str, str] | None = None) -> Location:
    return Location.of_artifact(parse_url(url, ARTIFACT.options), environ or {})


parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..")
)


@given(st.booleans(), st.lists(parts, min_size=1, max_size=4).map("/".join))
def test_artifact_urls_are_read_as_they_were_written(anonymous: bool, key: str) -> None:
    """Whatever the key: artifact URLs travel between hosts."""
    location = Location(Store(anonymous=anonymous), "releases", key)
    assert artifact(Location(location.store, "releases").url_of(key)) == location


def test_form_of_artifact_urls_is_fixed() -> None:
    """Other people's programs read them; a host's emulator is not in them."""
    url = registry("gs://releases/my%20app", {"STORAGE_EMULATOR_HOST": EMULATOR}).url_of("my app/v1/a+b#1.zip")
    assert url == "gs://releases/my%20app/v1/a%2Bb%231.zip"
    assert registry("gs://releases?anonymous=true").url_of("v1/app") == "gs://releases/v1/app?anonymous=true"


@pytest.mark.parametrize(
    ("url", "bucket", "folder"),
    [
        ("gs://releases", "releases", ""),
        ("gs://releases/", "releases", ""),
        ("gs://releases/myapp", "releases", "myapp/"),
        ("gs://releases/a/b/", "releases", "a/b/"),
        ("gs://releases/a%20b", "releases", "a b/"),
        ("gs://our_releases.example.com/x", "our_releases.example.com", "x/"),
        ("gs://RELEASES/MyApp", "releases", "MyApp/"),
        ("gs://123/x", "123", "x/"),
    ],
)
def test_registry_urls_name_a_bucket_and_a_folder(url: str, bucket: str, folder: str) -> None:
    location = registry(url)
    assert (location.bucket, location.folder) == (bucket, folder)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("gs://", "names no bucket"),
        ("gs:///releases/myapp", "names no bucket"),
        ("gs://ab/myapp", "cannot be the name of a bucket"),
        ("gs://-releases/myapp", "cannot be the name of a bucket"),
        ("gs://rel%65ases%2Fx/myapp", "cannot be the name of a bucket"),
        ("gs://releases/a/../b", "'.' or '..' in its path"),
        ("gs://releases/%2E%2E/b", "'.' or '..' in its path"),
        ("gs://127.0.0.1:9023/releases", "a port in it"),
        ("gs://user:hidden-secret@releases/myapp", "user name in it"),
    ],
)
def test_wrong_urls_are_refused_with_a_reason_and_a_cure(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        registry(url)
    assert raised.value.hint
    assert "hidden-secret" not in f"{raised.value} {raised.value!r}"


@pytest.mark.parametrize("url", ["gs://releases", "gs://releases/", "gs://releases/v1/"])
def test_artifact_url_must_name_an_object(url: str) -> None:
    with pytest.raises(UsageError, match="names no object"):
        artifact(url)


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
    assert registry("gs://releases", environ).store.emulator == address
    assert artifact("gs://releases/app", environ).store.emulator == address


@pytest.mark.parametrize(
    "said", ["ftp://host", "http://", "http://host:99999", "http://host/?a=b", "http://u:hidden-secret@host", "a\x1bb:1"]
)
def test_emulator_that_is_no_address_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="STORAGE_EMULATOR_HOST is not") as raised:
        registry("gs://releases", {"STORAGE_EMULATOR_HOST": said})
    assert "unset it" in raised.value.hint
    assert "hidden-secret" not in f"{raised.value} {raised.value!r}"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\0", "\x1b[31m", "a\u2028b", "\ud800"])
def test_names_that_are_none(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["app", "...", ".hidden", "my app (1).zip", "приложение"])
def test_names_that_are_odd_but_names(name: str) -> None:
    assert is_plain_name(name)
