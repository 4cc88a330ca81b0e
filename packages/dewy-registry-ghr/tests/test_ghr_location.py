"""URLs: what they name, what is refused, and that they survive the way there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.urls import parse_url
from dewy_registry_ghr.location import AssetName, RepositoryName
from dewy_registry_ghr.plugin import ARTIFACT, REGISTRY

NAMES = st.text("abcXYZ019._-", min_size=1, max_size=20).filter(lambda name: name not in (".", ".."))
ANY = st.text(min_size=1, max_size=20).filter(str.isprintable)


def registry(url: str) -> RepositoryName:
    return RepositoryName.of_registry(parse_url(url, REGISTRY.options, kind="registry"))


def artifact(url: str) -> AssetName:
    return AssetName.of_artifact(parse_url(url, ARTIFACT.options, kind="artifact"))


def test_registry_url_names_a_repository() -> None:
    """Upper case stays: GitHub shows names as they were made."""
    assert registry("ghr://Example-Inc/My.App_1") == RepositoryName("Example-Inc", "My.App_1")
    assert str(registry("ghr://example/myapp/?pre-release=true")) == "example/myapp"


@pytest.mark.parametrize(
    ("url", "tag", "file"),
    [
        ("ghr://o/r/tag/v1.0.0/app.tar.gz", "v1.0.0", "app.tar.gz"),
        ("ghr://o/r/tag/web%2Fv1.0.0/app", "web/v1.0.0", "app"),
        ("ghr://o/r/tag/web/v1.0.0/app", "web/v1.0.0", "app"),
        ("ghr://o/r/tag/%40web%2Fapp%401.0.0/a%20b%3F%23%25.zip", "@web/app@1.0.0", "a b?#%.zip"),
        ("ghr://o/r/tag/v1.0.0+build.5/app", "v1.0.0+build.5", "app"),
        ("ghr://o/r/tag/tag/tag", "tag", "tag"),
    ],
)
def test_artifact_url_names_a_file(url: str, tag: str, file: str) -> None:
    assert artifact(url) == AssetName(RepositoryName("o", "r"), tag, file)


@given(NAMES, NAMES, ANY.filter(lambda tag: all(tag.split("/"))), ANY.filter(lambda file: "/" not in file))
def test_artifact_urls_survive(owner: str, repository: str, tag: str, file: str) -> None:
    """Whatever tags and files are called: what is written is read again."""
    name = AssetName(RepositoryName(owner, repository), tag, file)
    assert artifact(str(name)) == name


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ghr://example", "names no repository"),
        ("ghr://example/", "names no repository"),
        ("ghr:///myapp", "names no owner"),
        ("ghr://example/myapp/v1", "more in its path than a repository"),
        ("ghr://example/..", "'..' in .* cannot be the name of a repository"),
        ("ghr://example/my%20app", "'my app' in .* cannot be the name of a repository"),
        ("ghr://exa%2Fmple/myapp", "'exa/mple' in .* cannot be the name of an owner"),
        ("ghr://github.example.com:8443/myapp", "has a port where an owner stands.*GITHUB_API_URL"),
        ("ghr://ghp_secret@example/myapp", "has a user name in it.*GH_TOKEN"),
    ],
)
def test_wrong_registry_urls_are_refused(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as raised:
        registry(url)
    assert "ghp_secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "ghr://o/r",
        "ghr://o/r/tag/v1.0.0",
        "ghr://o/r/tag/v1.0.0/",
        "ghr://o/r/tag//app",
        "ghr://o/r/v1.0.0/app",
        "ghr://o/r/tag/v1.0.0/a%2Fb",
        "ghr://o/r/tag/v1.0.0/a%0Ab",
        "ghr://o/r/tag/v1%0A/app",
    ],
)
def test_wrong_artifact_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"names no file of a release\. The form is ghr://OWNER/REPO/tag/TAG/FILE"):
        artifact(url)
