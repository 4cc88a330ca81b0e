"""What this distribution brings to dewy: the hook. Imports no SDK; the object that the backend opens does, when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import Backend, Option, Registry

if TYPE_CHECKING:
    from dewy.types import Context
    from dewy.urls import BackendURL

__all__ = ["REGISTRY", "dewy_registries"]


def _open(url: BackendURL, context: Context) -> Registry:
    from dewy_registry_grpc.target import Target

    target = Target.of(url)

    from dewy_registry_grpc.connection import Connection
    from dewy_registry_grpc.registry import GrpcRegistry

    return GrpcRegistry(Connection(target, context.environ))


REGISTRY: Backend[Registry] = Backend(
    schemes=("grpc",),
    summary="a server of your own that decides what runs where, asked by gRPC",
    examples=(
        "grpc://releases.example.com:443",
        "grpc://127.0.0.1:50051?no-tls=true",
        "grpc://releases.example.com:443?ca=/etc/dewy/ca.pem&cert=/etc/dewy/host.pem&key=/etc/dewy/host.key",
    ),
    options=(
        Option("no-tls", "talk in the clear, without TLS", kind="flag", default="false"),
        Option("ca", "file with the certificates (PEM) of the authorities that are believed, in place of the system's"),
        Option("cert", "file with this host's certificate (PEM), for a server that asks for one"),
        Option("key", "file with the private key (PEM) of that certificate", secret=True),
        # Declared so that they are refused with the reason, and not as if they were misspelt.
        Option("pre-release", "refused here: the server decides about pre-releases"),
        Option("artifact", "refused here: the server decides which artifact it is"),
    ),
    open=_open,
)
"""The registry backend."""


@hookimpl
def dewy_registries() -> tuple[Backend[Registry], ...]:
    """The registry for ``grpc://HOST:PORT``."""
    return (REGISTRY,)
