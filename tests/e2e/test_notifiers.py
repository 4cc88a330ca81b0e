"""What people are told of a running dewy, by real Slack and mail clients; and that dewy waits for none of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from notifying import PASSWORD, People, SilentServer, people, title, titles
from publishing import Directory, pack
from running import Running, eventually, free_port, running
from slack_server import TOKEN

WORKS = b"#!/bin/sh\necho listening\nexec sleep 600\n"
BROKEN = b"#!/bin/sh\necho listening\necho 'fatal: cannot read config.yaml' >&2\nexit 3\n"
VETO = "echo migrating; test ! -e veto || { echo 'relation users does not exist'; exit 9; }"


def worker(script: bytes, version: str) -> bytes:
    return pack({"work": (script, 0o755), "VERSION": (version.encode(), 0o644)})


def site(version: str) -> bytes:
    return pack({"index.html": (version.encode(), 0o644)})


@pytest.fixture
def team() -> Iterator[People]:
    with people() as those:
        yield those


def told(*notifiers: str) -> list[str]:
    return [word for url in notifiers for word in ("--notifier", url)]


# -------------------------------------------------------------------------------------------------- all of it, in order


@dataclass
class Story:
    """A dewy that has ended, the name of its application, and who was told."""

    process: Running
    application: str
    team: People


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """dewy was started, deployed two versions, a broken one and one that a hook refused, and was stopped."""
    folder = tmp_path_factory.mktemp("story")
    registry, root = Directory(folder / "registry"), folder / "myapp"
    root.mkdir()
    options = [
        "--registry",
        registry.url,
        "-i",
        "0.5s",
        "-C",
        str(root),
        "--start-grace",
        "0.3s",
        "--before-deploy-hook",
        VETO,
    ]
    registry.publish("v1.0.0", worker(WORKS, "v1.0.0"), "work.tar.gz")
    with people() as team:
        notifiers = told("slack://deploys?thread=true", team.mail_url)
        with running("server", *options, *notifiers, "--", "./current/work", **team.environ) as process:
            process.wait_for("deployment.done", version="v1.0.0")
            registry.publish("v1.1.0", worker(WORKS, "v1.1.0"), "work.tar.gz")
            process.wait_for("deployment.done", version="v1.1.0")
            process.signal(signal.SIGUSR1)
            process.wait_for("application.restarted")
            registry.publish("v1.2.0", worker(BROKEN, "v1.2.0"), "work.tar.gz")
            process.wait_for("deployment.failed", version="v1.2.0")
            (root / "veto").touch()
            later_than(process.wait_for("deployment.started", version="v1.2.0"))
            registry.publish("v1.3.0", worker(WORKS, "v1.3.0"), "work.tar.gz")
            process.wait_for("deployment.failed", version="v1.3.0")
        yield Story(process, root.name, team)


def later_than(started: dict[str, Any]) -> None:
    """Waits until another deployment has another name: they are named by seconds, and a failed one leaves its name free."""
    eventually(lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}" > started["directory"], what="the next second")


STORY = [
    ("dewy.started", ""),
    *[
        (event, version)
        for version in ("v1.0.0", "v1.1.0")
        for event in ("deployment.started", "hook.done", "deployment.done")
    ],
    ("application.restarted", "v1.1.0"),
    *[(event, "v1.2.0") for event in ("deployment.started", "hook.done", "deployment.failed")],
    *[(event, "v1.3.0") for event in ("deployment.started", "hook.failed", "deployment.failed")],
]
"""What happens, until dewy is stopped; the version that the hook refuses may be tried again before."""

THREADS = [0, 1, 1, 1, 2, 2, 2, 0, 3, 3, 3, 4, 4, 4]
"""In which thread each of it stands; 0 for none."""


def test_slack_and_mail_tell_the_same_story_in_order_to_the_last_message(story: Story) -> None:
    name, posts, mails = story.application, titles(story.team.posted()), story.team.mails()
    assert posts[: len(STORY)] == [title(name, event, version=version, phase="before") for event, version in STORY]
    assert posts[-1] == title(name, "dewy.stopped")
    assert [(one.mail["X-Dewy-Event"], one.mail["X-Dewy-Version"] or "") for one in mails[: len(STORY)]] == STORY
    assert [one.mail["Subject"] for one in mails] == [f"Dewy Notification: {line}" for line in posts]


def test_each_deployment_is_a_thread_in_slack_whose_end_and_errors_the_channel_sees(story: Story) -> None:
    posts = story.team.posted()[: len(STORY)]
    first = [THREADS.index(thread) for thread in THREADS]
    roots = [posts[first[index]].ts if thread and first[index] != index else None for index, thread in enumerate(THREADS)]
    assert [posted.request.get("thread_ts") for posted in posts] == roots
    seen = [index for index, posted in enumerate(posts) if posted.request.get("reply_broadcast")]
    assert [STORY[index] for index in seen] == [
        ("deployment.done", "v1.0.0"),
        ("deployment.done", "v1.1.0"),
        ("deployment.failed", "v1.2.0"),
        ("hook.failed", "v1.3.0"),
        ("deployment.failed", "v1.3.0"),
    ]


def test_each_deployment_is_a_thread_of_mails(story: Story) -> None:
    mails = [one.mail for one in story.team.mails()[: len(STORY)]]
    threads, numbers = [str(mail["References"] or "") for mail in mails], {"": 0}
    for thread in threads:
        numbers.setdefault(thread, len(numbers))
    assert [numbers[thread] for thread in threads] == THREADS
    assert [mail["In-Reply-To"] or "" for mail in mails] == threads
    assert len({str(mail["Message-ID"]) for mail in mails}) == len(STORY)


def test_whoever_reads_it_at_night_knows_what_runs_why_and_what_comes_next(story: Story) -> None:
    seen = [posted.shown for posted in story.team.posted()]
    plain = [one.part("plain") for one in story.team.mails()]
    for texts in (seen, plain):
        done, broken, hook, vetoed = (" ".join(texts[index].split()) for index in (6, 10, 12, 13))
        assert "v1.0.0" in done
        assert "v1.1.0" in done
        for text, event, version in ((broken, "deployment.failed", "v1.2.0"), (vetoed, "deployment.failed", "v1.3.0")):
            assert str(story.process.of(event, version=version)[0]["text"]) in text, "what the log says, people read too"
            assert "v1.1.0 runs on" in text
        assert "exit status 3" in broken
        assert "listening fatal: cannot read config.yaml" in broken, "what the application printed"
        assert "on hold" in broken
        assert "status 9" in hook
        assert "migrating relation users does not exist" in hook, "what the hook printed"
        assert "tried again in" in vetoed


def test_nothing_secret_is_told_to_anybody(story: Story) -> None:
    told = f"{story.team.everything()} {story.process.events} {story.process.other}"
    assert "v1.1.0 is deployed" in told
    assert not [secret for secret in (TOKEN, PASSWORD) if secret in told]


# ----------------------------------------------------------------------------------------------------- how much is told


def test_a_quiet_channel_hears_what_matters_and_the_other_everything(registry: Directory, root: Path, team: People) -> None:
    notifiers = told("slack://deploys", "slack://general?quiet=true")
    registry.publish("v1.0.0", site("v1.0.0"), "site.tar.gz")
    with running("assets", "--registry", registry.url, "-i", "0.3s", "-C", str(root), *notifiers, **team.environ) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", site("v1.1.0")[:40], "site.tar.gz")
        process.wait_for("deployment.failed", version="v1.1.0")
    quiet, all_of_it = titles(team.posted("general")), titles(team.posted("deploys"))
    matters = [("deployment.done", "v1.0.0"), ("deployment.failed", "v1.1.0")]
    assert quiet[:2] == [title(root.name, event, version=version) for event, version in matters]
    assert all_of_it[0] == title(root.name, "dewy.started")
    assert all_of_it[-1] == title(root.name, "dewy.stopped")
    assert not {all_of_it[0], all_of_it[-1]} & set(quiet)


def test_three_errors_are_told_then_none_until_it_works_again(registry: Directory, root: Path, team: People) -> None:
    registry.publish("v1.0.0", site("v1.0.0"), "site.tar.gz")
    away = registry.path.with_name("away")
    with running(
        "assets", "--registry", registry.url, "-i", "0.1s", "-C", str(root),
        *told("slack://deploys?quiet=true", team.mail_url), **team.environ,
    ) as process:  # fmt: skip
        process.wait_for("deployment.done")
        registry.path.rename(away)
        process.wait_for("registry.failed", count=4)
        away.rename(registry.path)
        process.wait_for("registry.recovered")
    failed, recovered = title(root.name, "registry.failed"), title(root.name, "registry.recovered")
    slack, mails = titles(team.posted()), [one.mail["X-Dewy-Event"] for one in team.mails()]
    assert slack == [title(root.name, "deployment.done", version="v1.0.0"), *[failed] * 3, recovered]
    assert mails[-5:] == [*["registry.failed"] * 3, "registry.recovered", "dewy.stopped"]
    last = "Further errors are not told until something goes well again."
    assert [last in posted.shown for posted in team.posted()] == [False, False, False, True, False]


def test_an_application_that_dies_later_does_so_outside_of_the_deployment_that_started_it(
    registry: Directory, root: Path, team: People
) -> None:
    """In its thread nobody would see it, and the errors of one deployment count once: a crash loop would never be silent."""
    registry.publish("v1.0.0", worker(WORKS, "v1.0.0"), "work.tar.gz")
    options = ["--registry", registry.url, "-i", "0.3s", "-C", str(root), "--start-grace", "0.2s"]
    with running(
        "server", *options, *told("slack://deploys?thread=true"), "--", "./current/work", **team.environ
    ) as process:
        process.wait_for("deployment.done")
        os.kill(int(process.of("generation.ready")[0]["pid"]), signal.SIGKILL)
        crashed = process.wait_for("application.crashed")
        assert not crashed.get("deployment")
        assert not process.wait_for("generation.ready", count=2).get("deployment")
    (post,) = (posted for posted in team.posted() if posted.request["text"] == title(root.name, "application.crashed"))
    assert "thread_ts" not in post.request
    assert str(crashed["text"]) in post.shown


# --------------------------------------------------------------------------------------------------- nobody waits for it


def test_a_dead_notifier_hinders_neither_the_deployment_nor_the_others(
    registry: Directory, root: Path, team: People
) -> None:
    """One refuses connections, one takes them and never answers; the third gets everything, in order."""
    address, versions = "ops@example.com?from=dewy@example.com&tls=false", ("v1.0.0", "v1.1.0", "v1.2.0")
    with SilentServer() as silent:
        refused, hangs = f"mail://127.0.0.1:{free_port()}/{address}", f"mail://127.0.0.1:{silent.port}/{address}"
        with running(
            "assets", "--registry", registry.url, "-i", "0.3s", "-C", str(root),
            *told(refused, hangs, "slack://deploys"), **team.environ,
        ) as process:  # fmt: skip
            eventually(lambda: silent.holds, what="a message to the silent server")
            for version in versions:
                registry.publish(version, site(version), "site.tar.gz")
                process.wait_for("deployment.done", version=version)
            assert silent.holds == 1, "its first message still waits, and three versions were deployed meanwhile"
            eventually(lambda: title(root.name, "deployment.done", version="v1.2.0") in titles(team.posted()))
            began = time.monotonic()
            assert process.stop() == 0
            assert time.monotonic() - began < 15, "the end of dewy has a bound, too"
    lost = [str(event["consumer"]) for event in process.of("events.lost")]
    assert sorted(lost) == sorted([refused, hangs]), "what could not be told is in the log"
    done = [line for line in titles(team.posted()) if "is deployed" in line or "stopped" in line]
    assert done == [
        *(title(root.name, "deployment.done", version=version) for version in versions), title(root.name, "dewy.stopped"),
    ]  # fmt: skip


def test_what_is_not_told_yet_is_told_before_dewy_ends(registry: Directory, root: Path, team: People) -> None:
    registry.publish("v1.0.0", site("v1.0.0"), "site.tar.gz")
    options = ["--registry", registry.url, "-i", "0.3s", "-C", str(root), *told("slack://deploys")]
    team.slack.lock.acquire()  # Slack answers nobody
    with running("assets", *options, **team.environ) as process:
        try:
            process.wait_for("deployment.done")
            process.signal(signal.SIGTERM)
            process.wait_for("dewy.stopped")
            assert team.posted() == []
        finally:
            team.slack.lock.release()
        assert process.process.wait(30) == 0
    assert titles(team.posted())[0] == title(root.name, "dewy.started")
    assert titles(team.posted())[-2:] == [
        title(root.name, "deployment.done", version="v1.0.0"), title(root.name, "dewy.stopped"),
    ]  # fmt: skip
