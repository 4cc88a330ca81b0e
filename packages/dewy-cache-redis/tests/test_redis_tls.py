"""Safe connections: certificates and names are checked, always, and what is wrong is said."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from dewy.errors import CacheError
from dewy_cache_redis.store import RedisStore
from redis_server import RedisServer
from redis_stores import store_of
from tcp_proxy import Proxy


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def serving(certificate: trustme.LeafCert, clients_of: trustme.CA | None = None) -> ssl.SSLContext:
    """What a server shows, and of whose authority it wants its clients' certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if clients_of:
        clients_of.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def proxy(server: RedisServer, authority: trustme.CA) -> Iterator[Proxy]:
    """TLS before the server, with a right certificate: neither server program is built with TLS."""
    with Proxy(server.port, context=serving(authority.issue_cert("localhost", "127.0.0.1"))) as proxy:
        yield proxy


def refused(store: RedisStore) -> CacheError:
    with pytest.raises(CacheError) as raised:
        store.get("a")
    assert raised.value.hint
    return raised.value


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_right_certificate(proxy: Proxy, ca: Path, prefix: str, host: str) -> None:
    """Everything works, values of the largest size and watching included."""
    store = store_of(f"rediss://{host}:{proxy.port}?ca={ca}")
    store.set(prefix, b"x" * store.largest)
    assert store.get(prefix) == b"x" * store.largest
    assert store.compare_and_set(prefix, b"x" * store.largest, b"y")
    assert list(store.keys(prefix)) == [prefix]
    assert store.watch(prefix, b"x", 5) == b"y"
    assert store.watch(prefix, b"y", 0.3) == b"y"


def test_unknown_authority(proxy: Proxy) -> None:
    """What no authority of the system's has signed is not believed."""
    error = refused(store_of(f"rediss://localhost:{proxy.port}"))
    assert "not signed by an authority" in error.message
    assert "?ca=FILE" in error.hint


def test_authority_of_the_url_stands_for_all(server: RedisServer, ca: Path) -> None:
    """With one named, another is not believed."""
    with Proxy(server.port, context=serving(trustme.CA().issue_cert("localhost"))) as proxy:
        assert "not signed by" in refused(store_of(f"rediss://localhost:{proxy.port}?ca={ca}")).message


def test_certificate_for_another_name(server: RedisServer, authority: trustme.CA, ca: Path) -> None:
    with Proxy(server.port, context=serving(authority.issue_cert("other.example.com"))) as proxy:
        for host in ("localhost", "127.0.0.1"):
            assert "for another name" in refused(store_of(f"rediss://{host}:{proxy.port}?ca={ca}")).message


def test_server_without_tls(server: RedisServer, ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the handshake for the beginning of a command, and waits for its end."""
    monkeypatch.setattr("dewy_cache_redis.links._SILENCE", 0.5)
    error = refused(store_of(f"rediss://127.0.0.1:{server.port}?ca={ca}"))
    assert "handshake" in error.message
    assert "redis://" in error.hint


def test_server_with_tls_asked_in_the_clear(proxy: Proxy) -> None:
    """Its hint leads to rediss."""
    error = refused(store_of(f"redis://127.0.0.1:{proxy.port}"))
    assert "TLS" in error.hint


def test_certificates_on_both_sides(server: RedisServer, authority: trustme.CA, ca: Path, tmp_path: Path) -> None:
    """Ours is shown; without it, or with one of another authority, the server's refusal is explained."""
    for name, issuer in (("right", authority), ("wrong", trustme.CA())):
        mine = issuer.issue_cert("host.example.com")
        mine.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        mine.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
    with Proxy(server.port, context=serving(authority.issue_cert("localhost"), clients_of=authority)) as proxy:
        url = f"rediss://localhost:{proxy.port}?ca={ca}"
        assert store_of(f"{url}&cert={tmp_path}/right.pem&key={tmp_path}/right.key").get("a") is None
        assert "certificate" in str(refused(store_of(url)))
        assert "certificate" in str(refused(store_of(f"{url}&cert={tmp_path}/wrong.pem&key={tmp_path}/wrong.key")))
        mixed = refused(store_of(f"{url}&cert={tmp_path}/right.pem&key={tmp_path}/wrong.key"))
        assert "cert and key" in mixed.message


def test_files_that_cannot_be_used(proxy: Proxy, tmp_path: Path) -> None:
    """They are named by their options; one that appears later is taken without a restart."""
    store = store_of(f"rediss://localhost:{proxy.port}?ca={tmp_path}/late.pem")
    assert "late.pem" in refused(store).message
    (tmp_path / "late.pem").write_text("nonsense")
    assert "late.pem" in refused(store).message


def test_authority_that_appears_later(proxy: Proxy, ca: Path, tmp_path: Path) -> None:
    """Files are read for each connection."""
    store = store_of(f"rediss://localhost:{proxy.port}?ca={tmp_path}/late.pem")
    refused(store)
    (tmp_path / "late.pem").write_bytes(ca.read_bytes())
    assert store.get("a") is None
