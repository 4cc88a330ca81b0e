"""What to do about a release, from what this host knows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dewy.decide import Deploy, Skip, decide
from dewy.state import Deployed, Held, State
from dewy.types import Release

NEW = Release(version="v2", artifact="app.tar.gz", url="file:///r/v2/app.tar.gz", fingerprint="f2")
RUNNING = Deployed(version="v1", artifact="app.tar.gz", url="", digest="sha256:aa", directory="d1", at="", fingerprint="f1")
HELD = Held(version="v2", digest="sha256:bb", reason="it exited at once", at="2026-01-01", fingerprint="f2")

releases = st.builds(
    Release,
    version=st.sampled_from(["v1", "v2", "v3"]),
    artifact=st.just("app"),
    url=st.just("file:///x"),
    digests=st.sampled_from([(), ("sha256:aa",), ("sha256:bb",), ("md5:cc",)]),
    fingerprint=st.sampled_from([None, "f1", "f2"]),
)


def test_the_first_release_is_deployed() -> None:
    assert decide(NEW, State()) == Deploy("nothing runs here yet")


def test_what_runs_is_left_alone() -> None:
    same = replace(NEW, version="v1", fingerprint="f1")
    assert decide(same, State(current=RUNNING)) == Skip("it runs here")


def test_another_version_is_deployed_whichever_is_higher() -> None:
    """The registry is the truth: going back is a deployment as any other (R26)."""
    for version in ("v0.9", "v2"):
        assert decide(replace(NEW, version=version), State(current=RUNNING)) == Deploy("v1 runs here")


def test_other_bytes_under_the_same_version_are_noticed() -> None:
    retagged = replace(NEW, version="v1", fingerprint="other")
    assert isinstance(decide(retagged, State(current=RUNNING)), Deploy)


def test_a_stated_digest_counts_more_than_a_fingerprint() -> None:
    copied = replace(NEW, version="v1", fingerprint="other", digests=("sha256:aa",))
    assert decide(copied, State(current=RUNNING)) == Skip("it runs here")


def test_a_held_version_is_left_alone() -> None:
    decision = decide(NEW, State(current=RUNNING, held=(HELD,)))
    assert decision == Skip("it is on hold since 2026-01-01: it exited at once")


def test_other_bytes_lift_a_hold() -> None:
    assert isinstance(decide(replace(NEW, fingerprint="f3"), State(current=RUNNING, held=(HELD,))), Deploy)


def test_a_release_that_has_failed_waits_for_its_next_try() -> None:
    assert decide(NEW, State(current=RUNNING), retry_in=12) == Skip("it has failed and is tried again in 12s")


@given(releases, releases)
def test_what_was_deployed_is_not_deployed_again(release: Release, earlier: Release) -> None:
    """Whatever the registry states: after a deployment of an answer, the same answer leaves the host alone."""
    digest = next((d for d in release.digests if d.startswith("sha256:")), "sha256:99")
    deployed = Deployed(
        version=release.version, artifact="app", url="", digest=digest, directory="d", at="", fingerprint=release.fingerprint
    )
    assert isinstance(decide(release, State().deployed(deployed)), Skip)
    if earlier.version != release.version:
        assert isinstance(decide(earlier, State().deployed(deployed)), Deploy)


@given(releases)
def test_what_is_held_is_never_tried_again_by_itself(release: Release) -> None:
    digest = next((d for d in release.digests if d.startswith("sha256:")), "sha256:99")
    held = Held(version=release.version, digest=digest, reason="", at="", fingerprint=release.fingerprint)
    assert isinstance(decide(release, State().hold(held)), Skip)
