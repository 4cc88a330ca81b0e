"""From S3 (a real SeaweedFS) to a running process: the deployment that dewy is for."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from load import Load
from publishing import Archive, pack
from running import dewy, environment, eventually, free_port, running
from seaweed import SeaweedFS


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with SeaweedFS(tmp_path_factory.mktemp("seaweed")) as server:
        server.client().create_bucket(Bucket="releases")
        yield server


class Store:
    """One application's releases in the bucket."""

    def __init__(self, server: SeaweedFS, application: str) -> None:
        self.server, self.application = server, application
        self.client: Any = server.client()
        self.url = f"s3://{server.region}/releases/{application}?endpoint={server.endpoint}"

    def publish(self, version: str, content: bytes, name: str = "myapp_linux_amd64.tar.gz") -> None:
        self.client.put_object(Bucket="releases", Key=f"{self.application}/{version}/{name}", Body=content)

    def keys(self, version: str) -> list[str]:
        listed = self.client.list_objects_v2(Bucket="releases", Prefix=f"{self.application}/{version}/")
        return [item["Key"].rsplit("/")[-1] for item in listed.get("Contents", ())]

    def withdraw(self, version: str) -> None:
        for name in self.keys(version):
            self.client.delete_object(Bucket="releases", Key=f"{self.application}/{version}/{name}")


@pytest.fixture
def store(seaweed: SeaweedFS, request: pytest.FixtureRequest) -> Store:
    return Store(seaweed, f"app-{abs(hash(request.node.nodeid)) % 10**8}")


def options(store: Store, root: Path, port: int) -> list[str]:
    return ["--registry", store.url, "-p", f"127.0.0.1:{port}", "-i", "0.1s", "-C", str(root), "--start-grace", "0.1s"]


def test_twenty_deployments_in_a_row_under_load_lose_no_request(store: Store, root: Path, go_archive: Archive) -> None:
    port = free_port()
    store.publish("v1.0.0", go_archive("v1.0.0"))
    with running("server", *options(store, root, port), "--", "./current/myapp", **store.server.environ) as process:
        process.wait_for("deployment.done", version="v1.0.0")
        with Load(port) as load:
            load.wait_for("v1.0.0")
            for number in range(1, 21):
                store.publish(f"v1.{number}.0", go_archive(f"v1.{number % 3}.0"))
                process.wait_for("deployment.done", version=f"v1.{number}.0")
            process.wait_for("generation.stopped", count=20)
        assert load.failures == []
        assert load.requests > 500
        audit = [name for name in store.keys("v1.20.0") if name.startswith("shipped_to_")]
        assert len(audit) == 1
    assert len(process.of("deployment.done")) == 21
    assert store.server.secret_key not in process.tail(10**6)


def test_the_newest_version_can_be_taken_back(store: Store, root: Path, go_archive: Archive) -> None:
    """Also where dewy's own audit entries are all that is left of it."""
    for version in ("v1.0.0", "v2.0.0", "v3.0.0-rc.9"):
        store.publish(version, go_archive("v1.0.0"))
    with running("server", *options(store, root, free_port()), "--", "./current/myapp", **store.server.environ) as process:
        process.wait_for("deployment.done", version="v2.0.0")
        process.wait_for("report.done")
        store.client.delete_object(Bucket="releases", Key=f"{store.application}/v2.0.0/myapp_linux_amd64.tar.gz")
        process.wait_for("deployment.done", version="v1.0.0")
        store.withdraw("v2.0.0")
        store.publish("v2.1.0", go_archive("v2.1.0"))
        process.wait_for("deployment.done", version="v2.1.0")


def test_with_its_store_down_a_host_serves_comes_up_and_catches_up(store: Store, root: Path, go_archive: Archive) -> None:
    port = free_port()
    store.publish("v1.0.0", go_archive("v1.0.0"))
    arguments = ["server", *options(store, root, port), "--", "./current/myapp"]
    try:
        with running(*arguments, **store.server.environ) as process:
            process.wait_for("deployment.done", version="v1.0.0")
            store.server.stop()
            failed = process.wait_for("registry.failed", seconds=60)
            assert store.server.endpoint in failed["error"]
            with Load(port) as load:
                eventually(lambda: load.requests > 100)
            assert load.failures == []
        with running(*arguments, **store.server.environ) as process:
            process.wait_for("dewy.ready")
            with Load(port) as load:
                eventually(lambda: load.requests > 100)
                store.server.start()
                store.publish("v1.1.0", go_archive("v1.1.0"))
                process.wait_for("deployment.done", version="v1.1.0", seconds=90)
                load.wait_for("v1.1.0")
            assert load.failures == []
            assert process.of("registry.recovered")
    finally:
        store.server.start()


def test_check_shows_what_would_be_deployed_and_changes_nothing(store: Store, root: Path) -> None:
    store.publish("v1.0.0", pack({"myapp": (b"#!/bin/sh\n", 0o755)}))
    store.publish("v1.0.0", b"", "checksums.txt")
    arguments = ["--registry", store.url, "-C", str(root), "-p", "8000", "--", "./current/myapp"]
    done = dewy("check", *arguments, **store.server.environ)
    assert done.returncode == 0, done.stderr
    assert "version   v1.0.0\n" in done.stdout
    assert "artifact  myapp_linux_amd64.tar.gz (" in done.stdout
    assert done.stdout.endswith("decision  deploy v1.0.0: nothing runs here yet\n")
    assert list(root.iterdir()) == []
    wrong = dewy("check", *arguments, AWS_ACCESS_KEY_ID="nobody", AWS_SECRET_ACCESS_KEY="canary-secret")
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1
    assert "canary" not in wrong.stderr
    missing = dewy("check", "--registry", f"{store.url}&artifact=other.zip", "-C", str(root), **store.server.environ)
    assert missing.returncode == 0  # it may still be on its way
    assert (
        "decision  wait: v1.0.0 has no file other.zip: its files are checksums.txt, myapp_linux_amd64.tar.gz"
        in missing.stdout
    )


SIZE = 640 << 20
"""Bytes of an artifact that is not small: ten times the memory that it may cost."""


class BigArchive:
    """A tar archive with one large file, made while it is read: nothing of it is ever on a disk here."""

    def __init__(self) -> None:
        member = tarfile.TarInfo("blob")
        member.size = SIZE
        block = os.urandom(1 << 20)
        pieces = itertools.chain([member.tobuf()], itertools.repeat(block, SIZE >> 20), [bytes(10240)])
        self._pieces, self._rest = pieces, b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        wanted, self._rest = self._rest[:size], self._rest[size:]
        return wanted


def rss(pid: int, field: str = "VmRSS") -> int:
    """Memory of a process, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def test_a_large_artifact_is_deployed_in_bounded_memory(store: Store, root: Path, tmp_path: Path) -> None:
    """Its growth over what dewy has when it has deployed something small from the same store."""
    store.publish("v1.0.0", pack({"index.html": (b"small", 0o644)}), "site.tar.gz")
    with running(
        "assets", "--registry", store.url, "-i", "0.1s", "-C", str(root), "--cache", f"file://{tmp_path}/cache",
        **store.server.environ,
    ) as process:  # fmt: skip
        process.wait_for("deployment.done", version="v1.0.0")
        before = rss(process.pid)
        store.client.upload_fileobj(BigArchive(), "releases", f"{store.application}/v2.0.0/site.tar")
        began = time.monotonic()
        process.wait_for("deployment.done", version="v2.0.0", seconds=110)
        seconds = time.monotonic() - began
        growth = rss(process.pid, "VmHWM") - before
        assert (root / "current" / "blob").stat().st_size == SIZE
    print(f"{SIZE >> 20} MiB in {seconds:.1f} s, memory grew by {growth / 2**20:.1f} MiB")  # noqa: T201
    assert growth < SIZE / 10


def test_nothing_of_an_sdk_is_loaded_that_the_urls_do_not_need() -> None:
    code = (
        "import sys\nfrom dewy.plugins import load_plugins\nplugins = load_plugins({})\n"
        "assert 's3' in plugins.find('registry', 's3://r/b').backend.schemes\n"
        "assert not {'boto3', 'botocore'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
