"""The parts of the kit that are of use in any test: clock, recorder, context, imports, network watch, streams."""

from __future__ import annotations

import hashlib
import io
import socket
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from string import Formatter

import pytest

from dewy.errors import RegistryError
from dewy.events import DEPLOYMENT_DONE, EVENTS
from dewy.http import HttpError
from dewy.testing import FakeClock, Recorder, TestContext, foreign_imports, write_distribution
from dewy.testing.failures import fails_well
from dewy.testing.network import watch_network
from dewy.testing.streams import Generated, WriteOnly, peak_memory

DONE = {
    "version": "v2", "previous_version": "v1", "seconds": 2.1, "artifact": "app", "digest": "sha256:0", "directory": "/x",
}  # fmt: skip


def test_the_clock_goes_when_it_is_told_to() -> None:
    clock = FakeClock()
    began = clock.now()
    clock.wait(90)
    clock.advance(0.5)
    assert (clock.monotonic(), (clock.now() - began).total_seconds(), clock.waits) == (90.5, 90.5, [90])
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_the_recorder_keeps_events_and_refuses_those_that_break_their_declaration() -> None:
    recorder = Recorder()
    recorder(DEPLOYMENT_DONE, **DONE)
    assert recorder.names == ["deployment.done"]
    assert recorder.of(DEPLOYMENT_DONE) == [DONE]
    assert "v2" in recorder.texts()[0]
    with pytest.raises(AssertionError, match=r"missing fields \['digest'\]"):
        recorder(DEPLOYMENT_DONE, **{name: value for name, value in DONE.items() if name != "digest"})
    with pytest.raises(AssertionError, match=r"unknown fields \['colour'\]"):
        recorder(DEPLOYMENT_DONE, **DONE, colour="green")


@pytest.mark.parametrize("name", EVENTS)
def test_the_recorder_takes_every_event_with_the_fields_of_its_text_which_its_title_needs_too(name: str) -> None:
    kind, recorder = EVENTS[name], Recorder()
    fields = {field for _, field, _, _ in Formatter().parse(kind.text) if field} | set(kind.more)
    recorder(kind, **dict.fromkeys(fields, 1), **dict.fromkeys(set(kind.optional) - fields, 1))
    assert recorder.names == [name]


def test_the_context_has_its_own_environment_and_remembers_secrets(tmp_path: Path) -> None:
    context = TestContext(tmp_path, {"TOKEN": "canary"})
    assert context.secret(context.environ["TOKEN"]) == "canary"
    assert context.secrets == ["canary"]
    assert (context.cache_directory, context.cache_directory.exists()) == (tmp_path / "cache", False)
    with pytest.raises(HttpError):
        context.http.get("http://127.0.0.1:9/")
    context.close()


def test_a_distribution_is_found_by_its_metadata_and_its_module_is_imported(tmp_path: Path) -> None:
    write_distribution(
        tmp_path, "dewy-registry-x", "1.2.3", entry_points={"x": "dewy_x"}, modules={"dewy_x/__init__.py": "  A = 1\n"}
    )
    (found,) = distributions(path=[str(tmp_path)])
    assert (found.name, found.version, [point.value for point in found.entry_points]) == (
        "dewy-registry-x",
        "1.2.3",
        ["dewy_x"],
    )
    assert found.files is not None
    assert all(file.locate().exists() for file in found.files)  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", "import dewy_x; print(dewy_x.A)"], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout == b"1\n"


def test_foreign_imports_are_what_is_neither_pythons_nor_dewys_nor_the_plugins_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import json, dewy.durations, dewy_y.part\nimport some_sdk\n"
    write_distribution(
        tmp_path,
        "dewy-registry-y",
        "1",
        entry_points={"y": "dewy_y"},
        modules={
            "dewy_y/__init__.py": source,
            "dewy_y/part.py": "",
            "some_sdk.py": "import http.server\n",
            "broken.py": "1/0",
        },
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert foreign_imports("dewy_y") == {"some_sdk"}
    assert foreign_imports("dewy.backends.plugin") == set()
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        foreign_imports("broken")


def test_the_network_is_watched_only_inside_the_block() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with watch_network() as seen:
            pass
        socket.create_connection(server.getsockname()).close()
        assert seen == []
        with watch_network() as seen:
            socket.create_connection(server.getsockname()).close()
    assert any("socket.connect" in line for line in seen)


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (ValueError("x"), "raise RegistryError, not ValueError"),
        (RegistryError("no"), "says too little"),
        (RegistryError("the token hunter2 is wrong"), "holds a secret"),
        (RegistryError("it does not answer."), "full stop"),
        (RegistryError("it does\nnot answer"), "several lines"),
    ],
)
def test_an_error_that_fails_badly_is_told(error: Exception, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint), fails_well(RegistryError, within=5, secrets=["hunter2"]):
        raise error


def test_a_generated_source_gives_its_bytes_without_taking_their_memory() -> None:
    source = Generated(10_000_000)
    hasher = hashlib.sha256()

    def read() -> None:
        while piece := source.read(1 << 20):
            hasher.update(piece)

    assert peak_memory(read) < 1_000_000
    assert (source.digest, source.largest_read) == (hasher.hexdigest(), 1 << 20)
    assert io.BufferedReader(Generated(300_000)).read() == Generated(300_000).readall()


def test_a_sink_copies_what_it_is_given_and_is_full_when_it_says_so() -> None:
    sink, buffer = WriteOnly(fails_after=6), bytearray(b"abc")
    assert sink.write(memoryview(buffer)) == 3
    buffer[:] = b"xyz"
    assert sink.content == b"abc"
    with pytest.raises(OSError, match="No space left"):
        sink.write(b"1234")
    assert (sink.size, sink.digest) == (3, hashlib.sha256(b"abc").hexdigest())
