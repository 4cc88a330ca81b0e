"""The example of the guide for plugin authors, as its user meets it: installed, found, and deployed from."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from publishing import pack
from running import environment, running
from wheels import distributions, wheel_of


@pytest.fixture
def python(tmp_path: Path) -> str:
    """A fresh virtual environment with the example, installed as pip does, and nothing but what it requires."""
    venv.create(tmp_path / "venv")
    python = str(tmp_path / "venv" / "bin" / "python")
    built = [wheel_of(each) for each in distributions() if each.name in {"dewy", "dewy-registry-index"}]
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", *built], check=True, timeout=100, env=environment())
    return python


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Thousands of polls are no help in a failure."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory that a web server serves, and its address."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield folder, f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def publish(folder: Path, version: str, content: bytes) -> None:
    (folder / f"{version}.tar.gz").write_bytes(content)
    index = folder / "index.json"
    listed = json.loads(index.read_text()) if index.exists() else {}
    file = {"url": f"{version}.tar.gz", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    listed[version] = {"published": "2026-01-01T00:00:00+00:00", "files": {"site.tar.gz": file}}
    index.with_suffix(".next").write_text(json.dumps(listed))
    index.with_suffix(".next").rename(index)


def test_it_is_found_and_deployed_from(python: str, web: tuple[Path, str], root: Path) -> None:
    folder, address = web
    listed = subprocess.run(
        [python, "-m", "dewy", "plugins", "list", "--json"],
        env=environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    rows = {row["distribution"]: row for row in json.loads(listed.stdout)}
    assert set(rows) == {"dewy", "dewy-registry-index"}
    assert rows["dewy-registry-index"]["state"] == "loaded"
    assert rows["dewy-registry-index"]["provides"][0]["schemes"] == ["index"]

    publish(folder, "v1.0.0", pack({"index.html": (b"one", 0o644)}))
    registry = f"index://{address}/index.json?insecure=true"
    with running("assets", "--registry", registry, "-i", "0.1s", "-C", str(root), command=[python, "-m", "dewy"]) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        publish(folder, "v1.1.0", pack({"index.html": (b"two", 0o644)}))
        process.wait_for("deployment.done", version="v1.1.0")
        assert (root / "current" / "index.html").read_text() == "two"
        content = pack({"index.html": (b"three", 0o644)})
        publish(folder, "v1.2.0", content)
        (folder / "v1.3.0.tar.gz").write_bytes(content)
        swapped = json.loads((folder / "index.json").read_text())
        swapped["v1.3.0"] = json.loads(json.dumps(swapped["v1.2.0"]).replace("v1.2.0", "v1.3.0"))
        swapped["v1.3.0"]["files"]["site.tar.gz"]["sha256"] = "0" * 64
        (folder / "index.json").write_text(json.dumps(swapped))
        failed = process.wait_for("deployment.failed", version="v1.3.0")
        assert "is not what was published" in failed["error"]
