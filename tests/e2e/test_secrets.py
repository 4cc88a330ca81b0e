"""No secret leaves dewy: a canary in every place where one can be, and a look at everything that anybody gets to see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from dewy.cli import main
from dewy.plugins import load_plugins
from dewy.types import Backend
from notifying import People, people
from publishing import Directory, pack
from running import dewy, eventually, running

WORKS = b"#!/bin/sh\nenv\nexec sleep 600\n"
BROKEN = b"#!/bin/sh\nenv\nexit 3\n"

VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GITHUB_APP_PRIVATE_KEY",
    "REDIS_PASSWORD",
    "CONSUL_HTTP_TOKEN",
    "DATABASE_PASSWORD",
    "MY_API_KEY",
)
"""Of the backends, and of applications that say by their names that they are secret."""


class Canaries:
    """Secrets, each of its own, and the places where they were put."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        secret = f"canary{len(self._places):03}p@ss/w%d"
        self._places[secret] = place
        return secret

    def found_in(self, text: str) -> list[str]:
        """The places whose secrets stand in a text, as they are or quoted."""
        return [place for secret, place in self._places.items() if secret in text or quote(secret, safe="") in text]


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def team() -> Iterator[People]:
    with people() as those:
        yield those


def test_no_secret_is_in_anything_that_dewy_says_writes_or_sends(
    registry: Directory, root: Path, team: People, canaries: Canaries
) -> None:
    """The hooks and the application print their environment, the cache and two notifiers are dead, a version is broken."""
    variables = {name: canaries(name) for name in VARIABLES}
    variables |= {"HTTPS_PROXY": f"http://user:{quote(canaries('HTTPS_PROXY'), safe='')}@127.0.0.1:1"}
    variables |= {"STORE": f"primary=postgres://user:{quote(canaries('STORE'), safe='')}@db/shop"}
    cache = f"redis://user:{quote(canaries('cache password'), safe='')}@127.0.0.1:1/0"
    dead = f"mail://127.0.0.1:1/ops@example.com?username=u&from=me@localhost&password={quote(canaries('option'), safe='')}"
    inline = f"mail://me:{quote(canaries('mail userinfo'), safe='')}@127.0.0.1:1/ops@example.com?from=me@localhost"
    arguments = [
        *("--registry", registry.url, "--cache", cache, "-i", "0.2s", "-C", str(root), "--start-grace", "0.2s"),
        *("--notifier", "slack://deploys", "--notifier", team.mail_url, "--notifier", dead, "--notifier", inline),
        *("--before-deploy-hook", "env", "--after-deploy-hook", "env; exit 1"),
    ]
    environ = {**team.environ, **variables}
    canaries._places |= {environ[name]: name for name in ("SLACK_TOKEN", "MAIL_PASSWORD")}
    registry.publish("v1.0.0", pack({"work": (WORKS, 0o755)}))
    with running("server", *arguments, "--", "./current/work", **environ) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        registry.publish("v1.1.0", pack({"work": (BROKEN, 0o755)}))
        failed = process.wait_for("deployment.failed", version="v1.1.0")
        process.wait_for("notifier.failed", seconds=60)
        eventually(lambda: any("v1.1.0" in mail.part("plain") for mail in team.mails()))
        commands = [dewy(*words, "-C", str(root), **environ) for words in (["status"], ["status", "--json"], ["history"])]
        commands.append(dewy("check", *arguments, **environ))
    commands += [dewy(*words, "-C", str(root), **environ) for words in (["status"], ["history", "--json"], ["hold", "v9"])]
    assert "DATABASE_PASSWORD=***" in failed["output"], "the application has printed its secrets"
    assert process.of("hook.failed", phase="after")[0]["output_size"] > 500
    assert canaries.found_in("\n".join(map(str, process.events))) == []
    assert canaries.found_in("\n".join(done.stdout + done.stderr for done in commands)) == []
    assert canaries.found_in(team.everything()) == []
    for folder in (root, registry.path):
        for path in folder.rglob("*"):
            if path.is_file():
                assert canaries.found_in(path.read_bytes().decode("latin-1")) == [], path


def _backends() -> list[tuple[str, Backend[object]]]:
    loaded = load_plugins({})
    return [(kind, backend) for plugin in loaded.all for kind, backends in plugin.backends.items() for backend in backends]


@pytest.mark.parametrize(("kind", "backend"), _backends(), ids=lambda part: getattr(part, "summary", part))
def test_no_secret_of_a_url_is_in_the_error_about_it(
    kind: str,
    backend: Backend[object],
    canaries: Canaries,
    root: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each backend's examples, with a password, with each of its secret options, and with one that does not exist."""
    for name in list(os.environ):
        if name.startswith("DEWY_"):
            monkeypatch.delenv(name)
    options = [option.name for option in backend.options or () if option.secret]
    refused = 0
    for example in backend.examples:
        scheme, _, rest = example.partition("://")
        mark = "&" if "?" in example else "?"
        secret = quote(canaries(f"userinfo of {example}"), safe="")
        urls = [f"{scheme}://user:{secret}@{rest}{mark}nonsense=1"]
        urls += [f"{example}{mark}{name}={quote(canaries(f'{name} of {example}'), safe='')}&nonsense=1" for name in options]
        for url in urls:
            refused += _is_refused(kind, url, root)
    told = "".join(capfd.readouterr())
    assert canaries.found_in(told) == []
    assert refused or backend.options is None


def _is_refused(kind: str, url: str, root: Path) -> bool:
    """Whether ``dewy check`` says that a URL is wrong, before anybody is asked for anything."""
    if kind == "artifact":
        return True  # named by registries, never by a user
    arguments = ["check", "-C", str(root), f"--{kind}", url]
    if kind != "registry":
        arguments += ["--registry", f"file://{root}"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code == 2
