"""The plugin is held to what dewy expects of every registry, against a real web server."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest

from dewy.backends.plugin import HTTP_ARTIFACT
from dewy.testing import CatalogConformance
from dewy_registry_index import INDEX


class Store:
    """A directory with an index, and its address while a server serves it."""

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f"index://127.0.0.1:{port}/index.json?insecure=true"
        self.directory, self.index = directory, {}
        self.write()

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        """Adds the files of a version, and lists them."""
        listed = self.index.setdefault(version, {"published": "2024-03-15T14:30:22Z", "files": {}})["files"]
        (self.directory / version).mkdir(exist_ok=True)
        for name, content in files.items():
            (self.directory / version / name).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            listed[name] = {"url": quote(f"{version}/{name}"), "size": len(content), "sha256": digest}
        self.write()

    def remove(self, version: str) -> None:
        """Removes a version."""
        del self.index[version]
        shutil.rmtree(self.directory / version)
        self.write()

    def write(self) -> None:
        """Writes the index, a second later each time: this server tells changes apart by whole seconds."""
        path = self.directory / "index.json"
        later = path.stat().st_mtime + 1 if path.exists() else 1_700_000_000
        path.write_text(json.dumps(self.index))
        os.utime(path, (later, later))


class TestIndex(CatalogConformance):
    """The kit's tests; everything that is theirs stands in the base class."""

    backend = INDEX
    plugin = "dewy_registry_index"
    artifacts = (HTTP_ARTIFACT,)

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """An empty index on a web server of this test's own."""
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield Store(tmp_path, server.server_port)
            server.shutdown()
            thread.join()

    @pytest.fixture
    def unreachable(self) -> str:
        """Nobody listens there."""
        return "index://127.0.0.1:9/index.json?insecure=true"
