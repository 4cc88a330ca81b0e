"""The state on disk."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dewy.errors import HostError
from dewy.state import Deployed, Held, Pending, State
from dewy.statefile import StateFile
from dewy.testing import Recorder

text = st.text(max_size=20)
deployeds = st.builds(
    Deployed, version=text, artifact=text, url=text, digest=text, directory=text, at=text, fingerprint=st.none() | text
)
states = st.builds(
    State,
    current=st.none() | deployeds,
    releases=st.lists(deployeds, max_size=3).map(tuple),
    held=st.lists(st.builds(Held, version=text, digest=text, reason=text, at=text), max_size=3).map(tuple),
    pending=st.none()
    | st.builds(
        Pending,
        deployed=deployeds,
        phase=st.sampled_from(["switching", "failed", "finishing"]),
        kind=st.sampled_from(["deployment", "rollback"]),
    ),
    speaks_notify=st.booleans(),
)


@given(state=states)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_what_is_saved_is_loaded(tmp_path: Path, state: State) -> None:
    file = StateFile(tmp_path, Recorder())
    file.save(state)
    assert file.load() == state


def test_no_file_is_an_empty_state(tmp_path: Path) -> None:
    assert StateFile(tmp_path, Recorder()).load() == State()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"format": 99}',
        b'{"format": 1, "held": [{}]}',
        b"\xff\xfe",
        b"1",
        b'{"format": 1, "current": "v1"}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_cannot_be_understood_is_put_aside_and_said(tmp_path: Path, content: bytes) -> None:
    path, said = tmp_path / "state.json", Recorder()
    path.write_bytes(content)
    assert StateFile(tmp_path, said).load() == State()
    assert said.names == ["state.unreadable"]
    assert (tmp_path / "state.broken").read_bytes() == content
    assert not path.exists()


def test_fields_of_a_newer_dewy_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    current = Deployed(version="v1", artifact="a", url="u", digest="d", directory="x", at="t")
    StateFile(tmp_path, Recorder()).save(State(current=current))
    data = json.loads(path.read_text())
    data["current"]["mood"] = "good"
    path.write_text(json.dumps(data))
    assert StateFile(tmp_path, Recorder()).load().current == current


def test_a_full_disk_leaves_the_old_state_and_no_temporary_file(tmp_path: Path) -> None:
    """A real limit on file sizes stands in for the disk: writing fails midway in a process of its own."""
    file = StateFile(tmp_path, Recorder())
    file.save(State(speaks_notify=True))
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from dewy.state import Held, State\n"
        "from dewy.statefile import StateFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "held = tuple(Held(version=str(n), digest='x' * 100, reason='', at='') for n in range(90))\n"
        "StateFile(Path(sys.argv[1]), lambda *a, **k: None).save(State(held=held))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert "writing the state failed: File too large" in done.stderr
    assert file.load() == State(speaks_notify=True)
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_a_directory_that_is_gone_is_an_error_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="writing the state failed: No such file or directory") as caught:
        StateFile(tmp_path / "gone", Recorder()).save(State())
    assert not isinstance(caught.value, HostError)
