"""What docs/deployment.md promises to those who write hooks is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from dewy.hooks.output import MOST_LINE, MOST_LINES, MOST_OUTPUT, MOST_TOLD
from dewy.hooks.shell import hook_environment
from dewy.types import Deployment

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "deployment.md").read_text()
HOOKS = PAGE.partition("\n## Hooks\n")[2].partition("\n## ")[0]


def test_every_variable_is_documented_and_no_other() -> None:
    deployment = Deployment(
        version="v2", previous_version="v1", artifact="a.tar.gz", digest="", directory=Path("/srv/releases/x"),
        root=Path("/srv"), command="server",
    )  # fmt: skip
    assert set(re.findall(r"^\| `(DEWY_\w+)` \|", HOOKS, re.MULTILINE)) == set(hook_environment(deployment, "before"))


def test_the_limits_are_those_that_hold() -> None:
    assert MOST_TOLD == MOST_OUTPUT == 64 * 1024
    text = " ".join(HOOKS.split())
    assert f"cut after {MOST_LINE} characters; of one run at most {MOST_LINES} lines and 64 KiB" in text
    assert "The last 64 KiB" in text
