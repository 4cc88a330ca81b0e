"""The page for operators says what the commands do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from dewy.cli import cli
from dewy.operators.overview import DewyFacts, PollFacts, Running, overview
from dewy.state import Deployed, Held, Pending, State
from dewy.supervisor.status import GenerationStatus, Status

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
NOW = datetime(2026, 3, 15, tzinfo=UTC)


def full_status() -> dict[str, object]:
    release = Deployed(version="v1", artifact="a", url="u", digest="d", directory="x", at="t")
    held = Held(version="v0", digest="d", reason="r", at="t")
    pending = Pending(deployed=release, phase="switching")
    generation = GenerationStatus(
        number=1, pid=2, version="v1", release="x", state="ready", since=NOW, text="", says_ready=True
    )
    running = Running(
        dewy=DewyFacts(version="1", pid=1, since=NOW, command="server", registry="r", activity="a"),
        process=Status(state="running", current=generation, generations=(generation,), crashes=0),
        poll=PollFacts(at=NOW, answer="yes"),
    )
    state = State(current=release, releases=(release,), held=(held,), pending=pending)
    return overview(state, [release], host="h", application="a", running=running)


def names_in(data: object) -> set[str]:
    if isinstance(data, dict):
        return set(data) | {name for value in data.values() for name in names_in(value)}
    return {name for item in data for name in names_in(item)} if isinstance(data, list) else set()


def test_every_field_of_the_status_is_described_and_no_other() -> None:
    section = PAGE[PAGE.index("`dewy status --json` prints") : PAGE.index("## What happened")]
    described = set(re.findall(r"`([a-z_]+)`", section)) - {"current"}
    printed = names_in(full_status()) | {"last_error", "event"}
    words = {
        "server",
        "assets",
        "idle",
        "starting",
        "running",
        "waiting",
        "stopping",
        "stopped",
        "ready",
        "sd_notify",
        "dewy",
    }
    assert printed - described == {"current"}
    assert described - printed <= words


def test_the_commands_of_the_page_are_there_with_their_options() -> None:
    for name in re.findall(r"^\| `dewy (\w+)", PAGE, re.MULTILINE):
        helped = CliRunner().invoke(cli, [name, "--help"])
        assert helped.exit_code == 0
        assert "--directory" in helped.output
    for option in ("--since", "--version", "--failed", "--follow", "--json"):
        assert option in CliRunner().invoke(cli, ["history", "--help"]).output
