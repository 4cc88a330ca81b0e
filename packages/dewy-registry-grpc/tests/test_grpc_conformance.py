"""The conformance kit, on a real gRPC server."""

from __future__ import annotations

import pytest

from dewy.testing import RegistryConformance
from dewy_registry_grpc.plugin import REGISTRY
from grpc_server import GrpcServer


class TestGrpcRegistry(RegistryConformance):
    backend = REGISTRY
    plugin = "dewy_registry_grpc.plugin"

    @pytest.fixture
    def store(self, server: GrpcServer) -> GrpcServer:
        return server

    @pytest.fixture
    def unreachable(self) -> str:
        return "grpc://127.0.0.1:1?no-tls=true"
