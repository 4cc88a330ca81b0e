"""What this distribution brings to dewy: the hook. Imports nothing heavy; what the backend opens does, when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import SHARED_CACHE_OPTIONS, AtomicCache, Backend, Option

if TYPE_CHECKING:
    from dewy.types import Context
    from dewy.urls import BackendURL

__all__ = ["CACHE", "dewy_caches"]


def _open(url: BackendURL, context: Context) -> AtomicCache:
    from dewy.keyvalue import key_value_cache
    from dewy_cache_consul.agent import Agent, prefix_of
    from dewy_cache_consul.client import Client
    from dewy_cache_consul.store import ConsulStore

    prefix = prefix_of(url)
    client = Client(Agent.of(url, context.environ), context.secret)
    return key_value_cache(ConsulStore(client), url, prefix=prefix)


CACHE: Backend[AtomicCache] = Backend(
    schemes=("consul", "consul+https"),
    summary="Consul's key-value store, shared by a whole fleet",
    examples=(
        "consul://127.0.0.1:8500/dewy?registry-ttl=30s",
        "consul:///dewy/myapp",
        "consul+https://consul.example.com:8501/dewy?ca=/etc/consul/ca.pem",
    ),
    options=(
        *SHARED_CACHE_OPTIONS,
        Option("token", "ACL token, in place of CONSUL_HTTP_TOKEN", secret=True),
        Option("dc", "datacenter whose key-value store it is; the agent's own by default"),
        Option("ns", "namespace, of Consul Enterprise, in place of CONSUL_NAMESPACE"),
        Option("ca", "file with the certificates (PEM) of the authorities that are believed, in place of CONSUL_CACERT"),
        Option("cert", "file with this host's certificate (PEM), in place of CONSUL_CLIENT_CERT"),
        Option("key", "file with the private key (PEM) of that certificate, in place of CONSUL_CLIENT_KEY", secret=True),
    ),
    environment=("CONSUL_HTTP_ADDR", "CONSUL_HTTP_SSL", "CONSUL_NAMESPACE"),
    open=_open,
)
"""The cache backend."""


@hookimpl
def dewy_caches() -> tuple[Backend[AtomicCache], ...]:
    """The cache for ``consul://HOST:PORT/PREFIX``."""
    return (CACHE,)
