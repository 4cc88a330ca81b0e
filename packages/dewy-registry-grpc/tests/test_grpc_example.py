"""The example server is one: dewy's registry works with it, as it stands in the repository."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from dewy.errors import RegistryError
from dewy.types import Platform, Report
from grpc_server import OpenRegistry

EXAMPLES = Path(__file__).parents[1] / "examples"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@contextmanager
def example(releases: Path, *options: str) -> Iterator[tuple[int, list[str]]]:
    """Runs the server; gives its port and, after the block, the lines it has written."""
    command = [sys.executable, str(EXAMPLES / "server.py"), str(releases), "--listen", "127.0.0.1:0", *options]
    written: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        try:
            said = server.stderr.readline()
            assert said.startswith("listening on port "), said + server.stderr.read()
            yield int(said.split()[-1]), written
            server.terminate()
            written += server.communicate(timeout=20)[0].splitlines()
            assert server.returncode == 0
        finally:
            server.kill()


def test_it_serves_what_the_file_says_and_writes_down_the_reports(open_registry: OpenRegistry) -> None:
    with example(EXAMPLES / "releases.json") as (port, written):
        registry = open_registry(f"grpc://127.0.0.1:{port}?no-tls=true")
        release = registry.current(AMD64)
        assert (release.version, release.artifact) == ("v1.4.0", "myapp_linux_amd64.tar.gz")
        assert release.published == datetime(2026, 3, 15, 14, 30, 22, tzinfo=UTC)
        assert release.size == 10485760
        assert release.digests[0].startswith("sha256:")
        assert registry.current(ARM64).url.startswith("s3://us-east-1/releases/")
        with pytest.raises(RegistryError, match="nothing is published for linux/riscv64"):
            registry.current(Platform("linux", "riscv64"))
        for error in (None, "it did not start"):
            registry.report(Report(release=release, command="server", host="web1", at=datetime.now(UTC), error=error))
    reports = [json.loads(line) for line in written]
    assert [(each["id"], each["tag"], each["error"]) for each in reports] == [
        ("linux/amd64@v1.4.0", "v1.4.0", None),
        ("linux/amd64@v1.4.0", "v1.4.0", "it did not start"),
    ]


def test_it_serves_with_tls_to_hosts_that_have_a_certificate(
    open_registry: OpenRegistry, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    for name, certificate in (("server", authority.issue_cert("127.0.0.1")), ("host", authority.issue_cert("web1"))):
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
    tls = ("--cert", f"{tmp_path}/server.pem", "--key", f"{tmp_path}/server.key", "--clients", str(ca_file))
    with example(EXAMPLES / "releases.json", *tls) as (port, _):
        own = f"cert={tmp_path}/host.pem&key={tmp_path}/host.key"
        assert open_registry(f"grpc://127.0.0.1:{port}?ca={ca_file}&{own}").current(AMD64).version == "v1.4.0"
        with pytest.raises(RegistryError, match="no connection"):
            open_registry(f"grpc://127.0.0.1:{port}?ca={ca_file}").current(AMD64)
