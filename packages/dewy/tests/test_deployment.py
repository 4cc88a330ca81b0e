"""One deployment: its order, and what is left when it fails."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deployments import World
from dewy import events
from dewy.deployment import DeploymentFailed
from dewy.errors import ArchiveError, ArtifactError, HookError, StartError
from dewy.state import Pending

Make = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def with_hooks(tmp_path: Path, *, before: str = "", after: str = "") -> World:
    return World(tmp_path, before_hook=before, after_hook=after)


def test_a_deployment_goes_through_its_steps_in_order(tmp_path: Path) -> None:
    world = with_hooks(
        tmp_path,
        before='echo "before $DEWY_VERSION after $DEWY_PREVIOUS_VERSION: $(ls releases)" >> log',
        after='echo "after $DEWY_VERSION: $(sed 1d current/app)" >> log',
    )
    world.publish("v1.0.0")
    world.deploy()
    assert world.serving() == "v1.0.0"
    assert world.processes.calls == [("swap", "v1.0.0")]
    assert world.said.names == [
        "deployment.started", "artifact.downloaded", "hook.done", "release.unpacked", "release.switched",
        "deployment.done", "hook.done", "report.done",
    ]  # fmt: skip
    assert (world.root / "log").read_text() == "before v1.0.0 after : \nafter v1.0.0: v1.0.0\n"
    assert world.leftovers() == []
    (entry,) = (world.registry / "v1.0.0").glob("shipped_to_*_server_at_*.txt")
    assert world.pipeline.state.current is not None
    assert f"digest: {world.pipeline.state.current.digest}\n" in entry.read_text()


def test_a_second_deployment_knows_the_first(tmp_path: Path) -> None:
    world = with_hooks(tmp_path, after='echo "$DEWY_PREVIOUS_VERSION $DEWY_RELEASE_DIR $DEWY_COMMAND" >> log')
    for version in ("v1.0.0", "v1.1.0"):
        world.publish(version)
        world.deploy()
    state = world.pipeline.state
    assert state.current is not None
    assert state.current.version == "v1.1.0"
    assert [release.version for release in state.releases] == ["v1.1.0", "v1.0.0"]
    last = (world.root / "log").read_text().splitlines()[-1]
    assert last == f"v1.0.0 {world.root}/releases/{state.current.directory} server"


def test_a_cached_artifact_is_not_downloaded_again(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    world.publish("v1.1.0")
    world.deploy()
    world.withdraw("v1.1.0")
    world.deploy()
    assert world.serving() == "v1.0.0"
    assert world.said.names.count("artifact.downloaded") == 2
    assert world.said.names.count("artifact.cached") == 1
    cache = world.root / ".dewy" / "cache"
    assert (cache / "current").read_text().strip() == "v1.0.0--shop.tar.gz"
    assert (cache / "v1.0.0--shop.tar.gz").read_bytes() == (world.registry / "v1.0.0" / "shop.tar.gz").read_bytes()


def test_a_small_cache_keeps_what_is_needed(tmp_path: Path) -> None:
    """An artifact and the facts about it are two values: room for one artifact only, and both must stay."""
    world = World(tmp_path, keep_releases=2, cache=f"file://{tmp_path}/cache?keep=2")
    for version in ("v1.0.0", "v1.1.0"):
        world.publish(version)
        world.deploy()
    world.withdraw("v1.1.0")
    world.deploy()
    assert world.said.names.count("artifact.downloaded") == 2


def test_a_damaged_cache_is_not_believed(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    world.publish("v1.1.0")
    world.deploy()
    cached = world.root / ".dewy" / "cache" / "v1.0.0--shop.tar.gz"
    damaged = bytearray(cached.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    cached.write_bytes(damaged)
    world.withdraw("v1.1.0")
    world.deploy()
    assert world.serving() == "v1.0.0"
    assert world.said.names.count("artifact.downloaded") == 3


def test_a_cache_that_does_not_work_stops_no_deployment_and_is_told_once(world: World) -> None:
    cache = world.root / ".dewy" / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.write_text("in the way")
    for version in ("v1.0.0", "v1.1.0"):
        world.publish(version)
        world.deploy()
    assert world.serving() == "v1.1.0"
    assert world.said.names.count("cache.failed") == 1
    cache.unlink()
    world.publish("v1.2.0")
    world.deploy()
    assert world.said.names.count("cache.recovered") == 1


def test_a_before_hook_that_fails_vetoes(tmp_path: Path) -> None:
    world = with_hooks(tmp_path, before='echo "checking $DEWY_VERSION"; test ! -e veto', after="touch after")
    world.publish("v1.0.0")
    world.deploy()
    (world.root / "veto").touch()
    (world.root / "after").unlink()
    world.publish("v1.1.0")
    before = world.releases()
    with pytest.raises(DeploymentFailed, match=r"the before hook 'echo .* ended with status 1") as caught:
        world.deploy()
    assert caught.value.phase == "before"
    assert isinstance(caught.value.cause, HookError)
    assert world.serving() == "v1.0.0"
    assert world.releases() == before
    assert world.processes.calls == [("swap", "v1.0.0")]
    assert not (world.root / "after").exists()
    (failed,) = world.said.of(events.HOOK_FAILED)
    assert (failed["phase"], failed["status"], failed["output"]) == ("before", 1, "checking v1.1.0")
    assert world.leftovers() == []


def test_a_failing_after_hook_is_told_and_changes_nothing(tmp_path: Path) -> None:
    world = with_hooks(tmp_path, after="echo no; exit 7")
    world.publish("v1.0.0")
    world.deploy()
    assert world.serving() == "v1.0.0"
    assert world.pipeline.state.current is not None
    assert world.said.of(events.HOOK_FAILED)[0]["error"] == "ended with status 7"
    assert "deployment.done" in world.said.names


def test_a_version_that_does_not_start_is_undone_and_held(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    world.processes.broken.add("v1.1.0")
    world.publish("v1.1.0")
    before = world.releases()
    with pytest.raises(DeploymentFailed, match=r"v1\.1\.0 exited at once with status 1") as caught:
        world.deploy()
    assert isinstance(caught.value.cause, StartError)
    assert caught.value.held
    assert world.serving() == "v1.0.0"
    assert world.releases() == before
    state = world.pipeline.state
    assert [(held.version, held.digest[:7]) for held in state.held] == [("v1.1.0", "sha256:")]
    assert state.pending is None
    assert state.current is not None
    assert state.current.version == "v1.0.0"
    world.pipeline.aftermath.tell_failure(caught.value)
    assert world.said.texts()[-1] == (
        "v1.1.0 could not be deployed: v1.1.0 exited at once with status 1. v1.0.0 runs on; "
        "v1.1.0 is on hold until the registry offers another, or: dewy unhold v1.1.0"
    )
    assert world.said.of(events.DEPLOYMENT_FAILED)[0]["output"] == "boom\nbang"


def test_a_first_version_that_does_not_start_is_tried_again(world: World) -> None:
    """There is nothing better to serve, and what it needs may come up yet."""
    world.processes.broken.add("v1.0.0")
    world.publish("v1.0.0")
    with pytest.raises(DeploymentFailed) as caught:
        world.deploy()
    assert not caught.value.held
    assert not (world.root / "current").exists()
    assert world.releases() == []
    world.processes.broken.clear()
    world.deploy()
    assert world.serving() == "v1.0.0"


def test_a_broken_archive_is_undone_and_leaves_nothing(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    artifact = world.publish("v1.1.0")
    artifact.write_bytes(artifact.read_bytes()[:-20])
    before = world.releases()
    with pytest.raises(DeploymentFailed) as caught:
        world.deploy()
    assert caught.value.phase == "unpack"
    assert isinstance(caught.value.cause, ArchiveError)
    assert world.serving() == "v1.0.0"
    assert world.releases() == before
    assert world.leftovers() == []
    world.publish("v1.1.0")
    world.deploy()
    assert world.serving() == "v1.1.0"


def test_other_bytes_than_stated_are_never_unpacked(world: World) -> None:
    world.publish("v1.0.0")
    stated = replace(world.offered(), digests=("sha256:" + "0" * 64,))
    with pytest.raises(DeploymentFailed, match="is not what was published") as caught:
        world.pipeline.deploy(stated, "")
    assert isinstance(caught.value.cause, ArtifactError)
    assert world.releases() == []
    with pytest.raises(DeploymentFailed, match=r"is larger than \d+ bytes"):
        world.pipeline.deploy(replace(world.offered(), size=10), "")
    with pytest.raises(DeploymentFailed, match="bytes where 99999 are stated"):
        world.pipeline.deploy(replace(world.offered(), size=99999), "")
    with pytest.raises(DeploymentFailed, match="cannot be checked: unknown digest algorithm 'whirl'"):
        world.pipeline.deploy(replace(world.offered(), digests=("whirl:0123456789",)), "")
    assert world.leftovers() == []


def state_sums(world: World, version: str, digest: str, name: str = "checksums.txt") -> None:
    (world.registry / version / name).write_text(f"{digest}  shop.tar.gz\n")


@pytest.mark.parametrize("name", ["checksums.txt", "shop.tar.gz.sha256", "SHA256SUMS"])
def test_a_checksum_file_beside_the_artifact_must_match(world: World, name: str) -> None:
    artifact = world.publish("v1.0.0")
    state_sums(world, "v1.0.0", "0" * 64, name)
    with pytest.raises(DeploymentFailed, match="is not what was published"):
        world.deploy()
    assert world.releases() == []
    state_sums(world, "v1.0.0", hashlib.sha256(artifact.read_bytes()).hexdigest(), name)
    world.deploy()
    assert world.serving() == "v1.0.0"


def test_a_cached_artifact_is_held_against_the_checksum_file_too(world: World) -> None:
    artifact = world.publish("v1.0.0")
    state_sums(world, "v1.0.0", hashlib.sha256(artifact.read_bytes()).hexdigest())
    world.deploy()
    world.publish("v1.1.0")
    world.deploy()
    state_sums(world, "v1.0.0", "0" * 64)
    world.withdraw("v1.1.0")
    with pytest.raises(DeploymentFailed, match="is not what was published"):
        world.deploy()
    assert world.serving() == "v1.1.0"


def test_a_checksum_file_that_is_much_too_large_is_not_taken_in(world: World) -> None:
    world.publish("v1.0.0")
    (world.registry / "v1.0.0" / "checksums.txt").write_bytes(b"x" * (2 << 20))
    with pytest.raises(DeploymentFailed, match=r"checksums\.txt is larger than 1048576 bytes"):
        world.deploy()


def test_digests_can_be_required_or_done_without(tmp_path: Path) -> None:
    world = World(tmp_path, verify="required")
    artifact = world.publish("v1.0.0")
    with pytest.raises(DeploymentFailed, match=r"nothing states a digest of shop\.tar\.gz of v1\.0\.0"):
        world.deploy()
    state_sums(world, "v1.0.0", hashlib.sha512(artifact.read_bytes()).hexdigest())
    world.deploy()
    changed = world.publish("v1.0.0", b"changed")
    state_sums(world, "v1.0.0", hashlib.sha256(changed.read_bytes()).hexdigest())
    with pytest.raises(DeploymentFailed, match=r"is not what was deployed under that version.*Publish it as a new version"):
        world.deploy()
    assert world.serving() == "v1.0.0"
    world.start_dewy(verify="off")
    state_sums(world, "v1.0.0", "0" * 64)
    world.deploy()
    assert world.serving() == "changed"


def test_the_same_bytes_published_again_are_no_deployment(world: World) -> None:
    artifact = world.publish("v1.0.0")
    world.deploy()
    shutil.copy(artifact, artifact.with_name("copy"))
    artifact.with_name("copy").rename(artifact)
    world.deploy()
    assert world.said.names[-1] == "artifact.unchanged"
    assert world.processes.calls == [("swap", "v1.0.0")]
    assert len(world.releases()) == 1


def test_other_bytes_under_the_same_version_are_deployed(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    world.publish("v1.0.0", b"changed")
    world.deploy()
    assert world.serving() == "changed"
    assert len(world.releases()) == 2
    (changed,) = world.said.of(events.ARTIFACT_CHANGED)
    assert changed["digest"] != changed["previous_digest"]


def test_old_releases_go_and_their_artifacts_may(tmp_path: Path) -> None:
    world = World(tmp_path, keep_releases=2)
    for number in range(5):
        world.publish(f"v1.{number}.0")
        world.deploy()
    assert len(world.releases()) == 2
    assert [release.version for release in world.pipeline.state.releases] == ["v1.4.0", "v1.3.0"]
    assert world.said.names.count("release.removed") == 3


def test_old_releases_that_cannot_be_removed_are_told_as_that_and_go_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, keep_releases=2)
    for number in range(2):
        world.publish(f"v1.{number}.0")
        world.deploy()
    with monkeypatch.context() as stuck:

        def refuse(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        stuck.setattr(shutil, "rmtree", refuse)
        world.publish("v1.2.0")
        world.deploy()
    assert world.serving() == "v1.2.0"
    assert "state.unsaved" not in world.said.names
    assert "removing old releases failed: Input/output error" in str(world.said.of(events.DISK_FAILED)[0]["error"])
    world.start_dewy()
    world.recover()
    assert len(world.releases()) == 2
    assert world.leftovers() == []


def test_a_failed_report_changes_nothing(world: World) -> None:
    world.publish("v1.0.0")
    release = world.offered()
    (world.registry / "v1.0.0").chmod(0o555)
    world.withdraw("v1.0.0")
    (world.registry / "v1.0.0").write_text("in the way")
    copy = world.publish("v2.0.0")
    world.pipeline.deploy(replace(release, url=f"file://{copy}", size=None, fingerprint=None), "")
    assert world.serving() == "v2.0.0"
    assert world.said.names[-1] == "report.failed"


def test_a_fault_of_ours_leaves_everything_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish("v1.0.0")
    world.deploy()
    before = world.releases()

    def swap(_release: object, *, gives_way: bool) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(world.processes, "swap", swap)
    world.publish("v1.1.0")
    with pytest.raises(DeploymentFailed, match=r"deploying v1\.1\.0 failed: ZeroDivisionError: a bug\. This is a fault"):
        world.deploy()
    assert world.serving() == "v1.0.0"
    assert world.releases() == before
    assert world.pipeline.state.pending is None
    assert world.pipeline.state.held == ()


# ------------------------------------------------------------------------------------------------- after a restart


def test_what_is_current_is_started_without_asking_the_registry(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    shutil.rmtree(world.registry)
    world.start_dewy()
    world.recover()
    assert world.processes.calls == [("swap", "v1.0.0"), ("start", "v1.0.0")]


def pend(world: World, phase: str) -> None:
    """The disk as a dewy leaves it that is killed in the middle of deploying v1.1.0 over v1.0.0."""
    world.publish("v1.0.0")
    world.deploy()
    first = world.pipeline.state
    world.publish("v1.1.0")
    world.deploy()
    done = world.pipeline.state
    assert done.current is not None
    state = done if phase in ("baking", "finishing") else first
    world.pipeline.stage.keeper.save(replace(state, pending=Pending(deployed=done.current, phase=phase)))  # type: ignore[arg-type]
    world.processes.calls.clear()
    world.said.events.clear()


def test_killed_after_the_switch_what_ran_before_comes_up_and_the_version_is_deployed_anew(tmp_path: Path) -> None:
    """It was not proven. Its before-hooks have agreed and are not asked again; it stays the same deployment."""
    world = with_hooks(tmp_path, before="echo before $DEWY_DEPLOYMENT >> log", after="echo after $DEWY_DEPLOYMENT >> log")
    pend(world, "switching")
    name = world.releases()[-1]
    (world.root / "log").unlink()
    world.start_dewy()
    world.recover()
    assert world.serving() == "v1.0.0"
    assert world.processes.calls == [("start", "v1.0.0")]
    assert len(world.releases()) == 1
    world.deploy()
    assert world.serving() == "v1.1.0"
    assert world.releases()[-1] == name
    assert world.pipeline.state.pending is None
    assert world.pipeline.state.prepared is None
    assert (world.root / "log").read_text() == f"after {name}\n"


def test_other_bytes_are_another_deployment_for_which_the_hooks_are_asked(tmp_path: Path) -> None:
    world = with_hooks(tmp_path, before="echo before >> log", after="")
    pend(world, "switching")
    (world.root / "log").unlink()
    world.publish("v1.1.0", b"others")
    world.start_dewy()
    world.recover()
    world.deploy()
    assert world.serving() == "others"
    assert (world.root / "log").read_text() == "before\n"


def test_killed_while_it_bakes_it_serves_at_once_and_is_watched_on(tmp_path: Path) -> None:
    world = with_hooks(tmp_path, before="echo b >> log", after="echo a >> log")
    pend(world, "baking")
    (world.root / "log").unlink()
    world.start_dewy()
    world.recover()
    assert world.processes.calls == [("start", "v1.1.0")]
    assert world.pipeline.bakes
    world.pipeline.go_on()
    assert (world.root / "log").read_text() == "a\n"
    assert not world.pipeline.bakes


def test_killed_before_the_switch_what_was_unpacked_goes(world: World) -> None:
    pend(world, "switching")
    first = world.pipeline.state.current
    assert first is not None
    world.pipeline.stage.releases.switch(first.directory)
    world.start_dewy()
    world.recover()
    assert world.releases() == [first.directory]
    assert world.processes.calls == [("start", "v1.0.0")]
    assert world.pipeline.state.pending is None


def test_killed_while_going_back_dewy_goes_back(world: World) -> None:
    pend(world, "failed")
    world.start_dewy()
    world.recover()
    assert world.serving() == "v1.0.0"
    assert world.processes.calls == [("start", "v1.0.0")]


def test_killed_in_the_after_hook_it_does_not_run_again(tmp_path: Path) -> None:
    world = with_hooks(tmp_path, after="echo a >> log")
    pend(world, "finishing")
    (world.root / "log").unlink()
    world.start_dewy()
    world.recover()
    assert world.serving() == "v1.1.0"
    assert world.processes.calls == [("start", "v1.1.0")]
    assert not (world.root / "log").exists()


def test_with_its_state_lost_a_host_still_serves(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    (world.root / ".dewy" / "state.json").write_text("{")
    world.start_dewy()
    world.recover()
    assert world.processes.calls[-1] == ("start", "unknown")


def test_a_current_that_is_gone_leads_again_to_what_ran(world: World) -> None:
    world.publish("v1.0.0")
    world.deploy()
    (world.root / "current").unlink()
    world.start_dewy()
    world.recover()
    assert world.serving() == "v1.0.0"


def test_what_the_supervisor_has_learnt_is_remembered(world: World) -> None:
    world.processes.notifies = True
    world.publish("v1.0.0")
    world.run(lambda: world.pipeline.state.speaks_notify)
    world.start_dewy()
    assert world.pipeline.state.speaks_notify


def test_no_secret_of_a_url_is_in_the_state(tmp_path: Path) -> None:
    world = World(tmp_path)
    artifact = world.publish("v1.0.0")
    release = replace(world.offered(), url=f"file://{artifact}")
    world.pipeline.deploy(release, "")
    assert "canary" not in json.dumps((world.root / ".dewy" / "state.json").read_text())
