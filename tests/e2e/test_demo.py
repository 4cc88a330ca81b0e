"""The first thing a newcomer sees."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from running import dewy


def test_the_demo_is_quick_loses_no_request_and_cleans_up(tmp_path: Path) -> None:
    began = time.monotonic()
    done = dewy("demo", cwd=tmp_path, TMPDIR=str(tmp_path), DEWY_REGISTRY="file:///a/stranger")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 20
    assert re.search(r"^  \d{3,} requests, none failed", done.stdout, re.MULTILINE)
    assert "v2.0.0 is deployed (before: v1.0.0)" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() not in done.stdout.replace("/tmp/…", "")
