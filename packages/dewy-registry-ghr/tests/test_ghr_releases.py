"""Reading GitHub's JSON, also what is none of GitHub's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy_registry_ghr.releases import Asset, GitHubRelease, Unreadable

ASSET = {"id": 7, "name": "app", "url": "https://api/7", "state": "uploaded", "size": 3, "digest": "sha256:" + "AB" * 32}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tag_name", "assets", "draft", "id", "name", "url", "state", "size"]), inner)
    ),
    max_leaves=12,
)


def test_assets_are_kept_as_they_came() -> None:
    """They are packed in between."""
    document = {"tag_name": "v1", "assets": [ASSET | {"updated_at": "2024-03-15T14:30:22Z"}], "upload_url": "u{?name}"}
    release = GitHubRelease.of(document)
    assert release
    time = datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC)
    assert release.assets == (Asset(7, "app", "https://api/7", 3, "sha256:" + "ab" * 32, time),)
    more = Asset(8, "žluť", "https://api/8", None, None, None)
    assert release.with_asset(more).assets == (*release.assets, more)
    assert release.asset("app") == release.assets[0]
    assert release.asset("other") is None


@pytest.mark.parametrize("digest", [None, "", 5, "sha256", "sha256:xyz", "sha256:" + "g" * 64])
def test_digest_that_is_none_is_left_out(digest: object) -> None:
    """A wrong one would have every download refused."""
    asset = Asset.of(ASSET | {"digest": digest})
    assert asset
    assert asset.digest is None


@pytest.mark.parametrize("time", [None, "", 5, "yesterday", "2024-99-99T00:00:00Z"])
def test_time_that_is_none_is_left_out(time: object) -> None:
    release = GitHubRelease.of({"tag_name": "v1", "assets": [], "published_at": time})
    assert release
    assert release.published is None


@given(JSON)
def test_any_json_is_a_release_or_refused(document: Any) -> None:
    """Nothing else comes out than a release, a draft, or that it cannot be read."""
    try:
        release = GitHubRelease.of(document)
    except Unreadable:
        return
    assert release is None or isinstance(release.assets, tuple)
