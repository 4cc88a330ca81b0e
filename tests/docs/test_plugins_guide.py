"""The guide for plugin authors: its code is the example's files, or is a plugin that passes the kit as it stands there."""

from __future__ import annotations

import atexit
import importlib
import inspect
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from dewy import hookspecs
from dewy.errors import HookError
from dewy.plugins import load_plugins
from dewy.testing import (
    ArtifactConformance,
    CacheConformance,
    CatalogConformance,
    NotifierConformance,
    RegistryConformance,
    SeenReport,
    write_distribution,
)
from dewy.types import Deployment, Event, Platform, Release, Result
from documents import ROOT

GUIDE = (ROOT / "docs" / "plugins.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "dewy-registry-index"
BLOCKS = dict(re.findall(r'^```\w+ title="([^"\n]+)"\n(.*?)^```$', GUIDE, re.M | re.S))
MODULES = {title.removesuffix(".py"): text for title, text in BLOCKS.items() if re.fullmatch(r"dewy_\w+\.py", title)}


def install(site: Path) -> dict[str, ModuleType]:
    """The guide's plugins, each installed as a distribution of its own, and imported."""
    for name, source in MODULES.items():
        point = name.rpartition("_")[2]
        modules = {f"{name}.py": source}
        write_distribution(site, name.replace("_", "-"), "1.0.0", entry_points={point: name}, modules=modules)
    with visible(site):
        return {name: importlib.import_module(name) for name in MODULES}


@contextmanager
def visible(site: Path) -> Iterator[None]:
    """Has what is installed there be found, and by the tests of this module only."""
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))


SITE = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, SITE, ignore_errors=True)
PLUGINS = install(SITE)


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    with visible(SITE):
        yield


# --------------------------------------------------------------------------------------------------------------- the example


@pytest.mark.parametrize("title", [title for title in BLOCKS if not title.startswith("dewy_") and title != "hooks"])
def test_a_block_that_is_a_file_of_the_example_is_that_file(title: str) -> None:
    assert BLOCKS[title] == (EXAMPLE / title).read_text("utf-8"), f"{title} and its block in docs/plugins.md differ"


def test_the_guide_shows_all_code_of_the_example() -> None:
    code = {
        path.relative_to(EXAMPLE).as_posix()
        for pattern in ("*.toml", "src/*/*.py", "tests/*.py")
        for path in EXAMPLE.glob(pattern)
    }
    assert code <= set(BLOCKS)


def test_the_plugin_of_the_example_has_at_most_60_lines() -> None:
    shown = ("pyproject.toml", "src/dewy_registry_index/__init__.py")
    lines = [line for title in shown for line in BLOCKS[title].splitlines() if line.strip()]
    assert len(lines) <= 60


def test_the_notifier_of_the_guide_has_about_30_lines() -> None:
    code = [line for line in MODULES["dewy_notifier_webhook"].splitlines() if line.strip()]
    imports = [line for line in code if line.startswith(("import ", "from "))]
    assert len(code) - len(imports) <= 30


# ----------------------------------------------------------------------------------------------------------------- the hooks


def test_the_guide_lists_the_hooks_with_the_signatures_that_they_have() -> None:
    hooks = [function for name, function in vars(hookspecs).items() if name.startswith("dewy_")]
    assert hooks
    expected = [f"def {hook.__name__}{_signature(hook)}: ..." for hook in hooks]
    assert BLOCKS["hooks"].splitlines() == expected


def test_the_guide_names_every_class_and_flag_of_the_kit() -> None:
    import dewy.testing

    kinds = [getattr(dewy.testing, name) for name in dewy.testing.__all__ if name.endswith("Conformance")]
    for kind in kinds:
        if kind is dewy.testing.BackendConformance:
            continue
        row = next(line for line in GUIDE.splitlines() if line.startswith(f"| `{kind.__name__}`"))
        flags = {name for base in kind.__mro__ for name in vars(base).get("__annotations__", {}) if not name.startswith("_")}
        assert set(re.findall(r"`(\w+)`", row)) >= flags - {"hook", "kind", "patience"}


def test_every_error_of_the_guide_is_one_that_there_is() -> None:
    import dewy.errors

    rows = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", GUIDE[GUIDE.index("| raise | when |") :], re.M)
    assert len(rows) == 7
    assert all(issubclass(getattr(dewy.errors, name), dewy.errors.DewyError) for name in rows)


def _signature(hook: object) -> str:
    return str(inspect.signature(hook)).replace("'", "")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- the plugins of the guide


class Service:
    """A web server on a free port whose answers a test decides."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.host = f"127.0.0.1:{server.server_port}"
        self.refuses = False
        self.posted: list[dict[str, object]] = []
        self.offers: dict[tuple[str, str], Release] = {}
        self.files: dict[str, bytes] = {}
        self.cuts: dict[str, int] = {}
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    """Offers releases, takes posts, and gives files that may be cut and resumed."""

    protocol_version = "HTTP/1.1"
    service: Service

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/decide":
            self.decide((query["os"][0], query["arch"][0]))
        elif self.headers["Private-Token"] != "t0ken-canary":
            self.answer(401)
        elif path in self.service.files:
            self.give(path)
        else:
            self.answer(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.service.refuses:
            self.answer(400)
        else:
            self.service.posted.append(json.loads(body))
            self.answer(204)

    def decide(self, platform: tuple[str, str]) -> None:
        release = self.service.offers.get(platform)
        facts = {name: getattr(release, name) for name in ("version", "artifact", "url", "id")} if release else None
        self.answer(200 if facts else 404, json.dumps(facts).encode())

    def give(self, path: str) -> None:
        content = memoryview(self.service.files[path])
        begin = int(re.match(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")[1])  # type: ignore[index]
        fields = {"ETag": '"1"', "Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        self.send_response(206 if "Range" in self.headers else 200)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if self.service.cuts.get(path, 0) > 0:
            self.service.cuts[path] -= 1
            self.wfile.write(content[begin : (begin + len(content)) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content[begin:])

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing: a test's output is for its failures."""


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as service:
        yield service


@contextmanager
def running() -> Iterator[Service]:
    class Own(Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        server.daemon_threads = True
        Own.service = Service(server)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Own.service
        server.shutdown()
        thread.join()


class DecidingStore:
    def __init__(self, service: Service) -> None:
        self.service, self.url = service, f"decide://{service.host}/decide"

    def offer(self, platform: Platform, release: Release) -> None:
        self.service.offers[platform.os, platform.arch] = release

    def reports(self) -> Sequence[SeenReport]:
        return [SeenReport(**posted) for posted in self.service.posted]  # type: ignore[arg-type]


class TestDecidingRegistry(RegistryConformance):
    plugin = "dewy_registry_decide"
    backend = PLUGINS[plugin].DECIDE

    @pytest.fixture
    def store(self, service: Service) -> DecidingStore:
        return DecidingStore(service)

    @pytest.fixture
    def unreachable(self) -> str:
        return "decide://127.0.0.1:9/decide"


class FileStore:
    def __init__(self, service: Service) -> None:
        self.service = service

    def put(self, name: str, content: bytes) -> str:
        self.service.files[f"/{quote(name)}"] = content
        return f"files://{self.service.host}/{quote(name)}"

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        self.service.cuts[f"/{quote(name)}"] = cuts
        return self.put(name, content)

    def missing(self) -> str:
        return f"files://{self.service.host}/missing"


class TestTokenArtifact(ArtifactConformance):
    plugin = "dewy_artifact_files"
    backend = PLUGINS[plugin].FILES
    interrupts = True
    resumes = True

    @pytest.fixture
    def environ(self) -> Mapping[str, str]:
        return {"FILES_TOKEN": "t0ken-canary"}

    @pytest.fixture
    def store(self, service: Service) -> FileStore:
        return FileStore(service)

    @pytest.fixture
    def unreachable(self) -> str:
        return "files://127.0.0.1:9/app.tar.gz"


class ObjectsStore:
    def __init__(self, tmp_path: Path) -> None:
        self.bucket = PLUGINS["dewy_registry_objects"].SqliteBucket("releases", f"{tmp_path}/objects.db")
        self.url = self.bucket.url_of("myapp")

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self.store(f"myapp/{version}/{name}", content)

    def remove(self, version: str) -> None:
        self.bucket.run("DELETE FROM objects WHERE key LIKE ?", f"myapp/{version}/%")

    def put(self, name: str, content: bytes) -> str:
        return self.store(name, content)

    def missing(self) -> str:
        return str(self.bucket.url_of("missing"))

    def store(self, key: str, content: bytes) -> str:
        self.bucket.run("REPLACE INTO objects (bucket, key, content) VALUES (?, ?, ?)", "releases", key, content)
        return str(self.bucket.url_of(key))


class _InSqlite:
    plugin = "dewy_registry_objects"

    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectsStore:
        return ObjectsStore(tmp_path)

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> str:
        return f"objects://releases/app?file={tmp_path}/missing/objects.db"


class TestObjectsCatalog(_InSqlite, CatalogConformance):
    backend = PLUGINS["dewy_registry_objects"].REGISTRY
    artifacts = (PLUGINS["dewy_registry_objects"].ARTIFACT,)
    attaches = True


class TestObjectsArtifact(_InSqlite, ArtifactConformance):
    backend = PLUGINS["dewy_registry_objects"].ARTIFACT


class TestSqliteCache(CacheConformance):
    plugin = "dewy_cache_sqlite"
    backend = PLUGINS[plugin].SQLITE
    streams = False

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite://{tmp_path}/cache.db"

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> str:
        return f"sqlite://{tmp_path}/missing/cache.db"


class TestSharedSqliteCache(CacheConformance):
    plugin = "dewy_cache_sqlitekv"
    backend = PLUGINS[plugin].SQLITE
    atomic = True
    tidies = True

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlitekv://{tmp_path}/cache.db"

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> str:
        return f"sqlitekv://{tmp_path}/missing/cache.db"


class ChatInbox:
    def __init__(self, service: Service) -> None:
        self.service, self.url = service, f"webhook://{service.host}/hook?token=t0ken-canary"

    def received(self) -> Sequence[str]:
        return ["\n".join(str(value) for value in posted.values()) for posted in self.service.posted]

    def refuse(self) -> None:
        self.service.refuses = True


class TestWebhook(NotifierConformance):
    plugin = "dewy_notifier_webhook"
    backend = PLUGINS[plugin].WEBHOOK

    @pytest.fixture
    def inbox(self, service: Service) -> ChatInbox:
        return ChatInbox(service)

    @pytest.fixture
    def unreachable(self) -> str:
        return "webhook://127.0.0.1:9/hook?token=t0ken-canary"


def test_the_hooks_of_the_guide_load_veto_and_count(tmp_path: Path) -> None:
    plugins = load_plugins({})
    (row,) = (plugin for plugin in plugins.all if plugin.distribution == "dewy-hooks-freeze")
    assert (row.state, row.hooks) == ("loaded", ("dewy_before_deploy", "dewy_after_deploy", "dewy_event"))
    before, after, event = (next(hook for hook in plugins.hooks(name) if hook.plugin is row) for name in row.hooks)
    deployment = Deployment(
        version="v1.4.0", previous_version="", artifact="app", digest="sha256:0", directory=tmp_path / "releases" / "1",
        root=tmp_path, command="server",
    )  # fmt: skip
    before(deployment=deployment)
    (tmp_path / "FREEZE").touch()
    with pytest.raises(HookError, match=r"v1\.4\.0 waits"):
        before(deployment=deployment)
    after(deployment=deployment, result=Result("vetoed", 0.1, "frozen"))
    event(event=Event(name="deployment.done", level="info", text="done", at=datetime.now(UTC)))
    assert PLUGINS["dewy_hooks_freeze"].counts == {"deployments vetoed": 1, "deployment.done": 1}
