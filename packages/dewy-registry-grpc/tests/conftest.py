"""The servers and certificates that the tests work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_registry_grpc.plugin import REGISTRY
from grpc_server import GrpcServer, OpenRegistry


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC takes proxies from the process's own environment."""
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[GrpcServer]:
    """A server in the clear."""
    with GrpcServer() as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that no system knows."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def started() -> Iterator[Callable[..., GrpcServer]]:
    """Starts a server; takes what :class:`GrpcServer` takes."""
    with ExitStack() as stack:
        yield lambda **arguments: stack.enter_context(GrpcServer(**arguments))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[TestContext]:
    """What dewy lends to the backend."""
    context = TestContext(tmp_path / "context")
    yield context
    context.close()


@pytest.fixture
def open_registry(context: TestContext) -> OpenRegistry:
    """Opens a registry URL as dewy does."""

    def opened(url: str, **environ: str) -> Any:
        context.environ = environ
        return REGISTRY.open(parse_url(url, REGISTRY.options, kind="registry"), context)

    return opened
