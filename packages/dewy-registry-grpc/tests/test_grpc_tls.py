"""TLS as it comes without any option, with an authority of one's own, and with certificates on both sides."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dewy.errors import RegistryError
from dewy.types import Platform, Release
from dewy_registry_grpc import trust
from dewy_registry_grpc.sdk import grpc
from dewy_registry_grpc.target import Tls
from dewy_registry_grpc.trust import read_certificates
from grpc_server import GrpcServer, OpenRegistry

AMD64 = Platform("linux", "amd64")
RELEASE = Release(version="v1.4.0", artifact="app", url="https://127.0.0.1:9/app", id="1")
Start = Callable[..., GrpcServer]


def credentials(certificate: trustme.LeafCert, clients: trustme.CA | None = None) -> Any:
    """A server's; with ``clients`` it asks hosts for certificates of that authority."""
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    pair = (certificate.private_key_pem.bytes(), chain)
    return grpc.ssl_server_credentials([pair], clients and clients.cert_pem.bytes(), clients is not None)


@pytest.fixture
def server(started: Start, authority: trustme.CA) -> GrpcServer:
    """A server with a certificate of the authority."""
    server = started(credentials=credentials(authority.issue_cert("127.0.0.1", "localhost")))
    server.offer(AMD64, RELEASE)
    return server


@pytest.fixture
def mutual(started: Start, authority: trustme.CA, ca_file: Path) -> GrpcServer:
    """A server that asks hosts for certificates; the URL believes its own."""
    server = started(credentials=credentials(authority.issue_cert("127.0.0.1"), authority), options={"ca": str(ca_file)})
    server.offer(AMD64, RELEASE)
    return server


def written(certificate: trustme.LeafCert, folder: Path) -> dict[str, str]:
    """A host's certificate and key as files: the options that name them."""
    folder.mkdir(exist_ok=True)
    certificate.cert_chain_pems[0].write_to_path(str(folder / "host.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "host.key"))
    return {"cert": str(folder / "host.pem"), "key": str(folder / "host.key")}


# ----------------------------------------------------------------------------------------------------- whom dewy believes


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_with_an_authority_of_ones_own(
    server: GrpcServer, open_registry: OpenRegistry, ca_file: Path, host: str
) -> None:
    server.host, server.options = host, {"ca": str(ca_file)}
    registry = open_registry(server.url)
    assert registry.current(AMD64) == RELEASE
    assert registry.current(AMD64) == RELEASE


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"])
def test_authorities_from_the_environment(
    server: GrpcServer, open_registry: OpenRegistry, ca_file: Path, variable: str
) -> None:
    assert open_registry(server.url, **{variable: str(ca_file)}).current(AMD64) == RELEASE


def test_authorities_from_a_directory_of_the_environment(
    server: GrpcServer, open_registry: OpenRegistry, ca_file: Path, tmp_path: Path
) -> None:
    """Where other files lie too, and each certificate has a second name."""
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "authority.pem").symlink_to(ca_file)
    (folder / "1a2b3c4d.0").symlink_to("authority.pem")
    (folder / "README").write_bytes("žádný certifikát\n".encode())
    registry = open_registry(server.url, SSL_CERT_DIR=f"{tmp_path}/no-such:{folder}")
    assert registry.current(AMD64) == RELEASE


def test_the_systems_authorities_are_believed_by_default(
    server: GrpcServer, open_registry: OpenRegistry, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC by itself believes a list in its wheel, and never what an administrator has added to the system's."""
    usual = ssl.get_default_verify_paths()
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: usual._replace(openssl_cafile=str(ca_file)))
    assert open_registry(server.url).current(AMD64) == RELEASE


def test_the_systems_directory_is_read_where_it_has_no_bundle(
    server: GrpcServer, open_registry: OpenRegistry, ca_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "1a2b3c4d.0").write_bytes(ca_file.read_bytes())
    (folder / "dangling").symlink_to("nowhere")
    usual = ssl.get_default_verify_paths()._replace(openssl_cafile="/no/such", openssl_capath=str(folder))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: usual)
    monkeypatch.setattr(trust, "_USUAL_FILES", ())
    assert open_registry(server.url).current(AMD64) == RELEASE


def test_a_system_without_authorities_leaves_it_to_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ssl.get_default_verify_paths()._replace(openssl_cafile="/no/such", openssl_capath="/no/such")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: usual)
    monkeypatch.setattr(trust, "_USUAL_FILES", ())
    assert read_certificates(Tls(), {}).roots is None


def test_what_the_url_says_counts_more_than_the_environment(
    server: GrpcServer, open_registry: OpenRegistry, ca_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    server.options = {"ca": str(other)}
    with pytest.raises(RegistryError, match="not signed by an authority that is believed here"):
        open_registry(server.url, SSL_CERT_FILE=str(ca_file)).current(AMD64)


# ----------------------------------------------------------------------------------------------------------- who is there


def test_strangers_certificate_is_refused(server: GrpcServer, open_registry: OpenRegistry) -> None:
    with pytest.raises(RegistryError, match="not signed by an authority that is believed here") as raised:
        open_registry(server.url).current(AMD64)
    assert raised.value.hint.endswith("?ca=FILE")
    assert not server.calls


def test_certificate_for_another_name_is_refused(
    started: Start, open_registry: OpenRegistry, authority: trustme.CA, ca_file: Path
) -> None:
    server = started(credentials=credentials(authority.issue_cert("other.example")), options={"ca": str(ca_file)})
    with pytest.raises(RegistryError, match="certificate is for another name"):
        open_registry(server.url).current(AMD64)
    assert not server.calls


def test_certificate_that_has_expired_is_refused(
    started: Start, open_registry: OpenRegistry, authority: trustme.CA, ca_file: Path
) -> None:
    old = authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    server = started(credentials=credentials(old), options={"ca": str(ca_file)})
    with pytest.raises(RegistryError, match="the server's certificate has expired"):
        open_registry(server.url).current(AMD64)


def test_server_in_the_clear_is_told_from_one_with_tls(
    server: GrpcServer, started: Start, open_registry: OpenRegistry
) -> None:
    """Both ways round, with the option that is wrong."""
    clear = started()
    with pytest.raises(RegistryError, match="the server does not speak TLS") as raised:
        open_registry(f"grpc://127.0.0.1:{clear.port}").current(AMD64)
    assert "Add no-tls=true" in raised.value.hint
    with pytest.raises(RegistryError, match="no connection") as raised:
        open_registry(f"grpc://127.0.0.1:{server.port}?no-tls=true").current(AMD64)
    assert "take no-tls out" in raised.value.hint


# ----------------------------------------------------------------------------------------------------------- who dewy is


def test_host_shows_its_certificate(
    mutual: GrpcServer, open_registry: OpenRegistry, authority: trustme.CA, tmp_path: Path
) -> None:
    mutual.options |= written(authority.issue_cert("web1.example.com"), tmp_path)
    assert open_registry(mutual.url).current(AMD64) == RELEASE
    assert mutual.calls[0].identities == ("web1.example.com",)


def test_host_without_a_certificate_is_told_what_may_be_missing(mutual: GrpcServer, open_registry: OpenRegistry) -> None:
    with pytest.raises(RegistryError, match="no connection") as raised:
        open_registry(mutual.url).current(AMD64)
    assert raised.value.hint.endswith("give it with ?cert=FILE&key=FILE")
    assert not mutual.calls


def test_host_with_a_strangers_certificate_is_told_so(
    mutual: GrpcServer, open_registry: OpenRegistry, tmp_path: Path
) -> None:
    mutual.options |= written(trustme.CA().issue_cert("web1.example.com"), tmp_path)
    with pytest.raises(RegistryError, match="no connection") as raised:
        open_registry(mutual.url).current(AMD64)
    assert "believes the authority of this host's certificate" in raised.value.hint
    assert not mutual.calls


def test_certificates_that_are_renewed_are_taken_up(
    mutual: GrpcServer, open_registry: OpenRegistry, authority: trustme.CA, tmp_path: Path
) -> None:
    """They may live for a day, dewy for a year."""
    mutual.options |= written(authority.issue_cert("web1.example.com"), tmp_path)
    registry = open_registry(mutual.url)
    registry.current(AMD64)
    written(authority.issue_cert("web2.example.com"), tmp_path)
    registry.current(AMD64)
    registry.current(AMD64)
    assert [call.identities[0] for call in mutual.calls] == ["web1.example.com", "web2.example.com", "web2.example.com"]
    assert len({call.peer for call in mutual.calls}) == 2


# -------------------------------------------------------------------------------------------------------- files that fail


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b"", "cannot be used"), (b"not a certificate", "cannot be used")],
)
@pytest.mark.parametrize("told", ["ca", "SSL_CERT_FILE"])
def test_authorities_that_cannot_be_read_are_named(
    open_registry: OpenRegistry, tmp_path: Path, told: str, content: bytes | None, words: str
) -> None:
    """At the poll, not at the start: a host comes up whatever is wrong with its registry (R72)."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    url, environ = "grpc://127.0.0.1:1", {told: str(file)}
    registry = open_registry(f"{url}?ca={file}") if told == "ca" else open_registry(url, **environ)
    with pytest.raises(RegistryError, match=words) as raised:
        registry.current(AMD64)
    assert f"{told}={file}" in raised.value.message


def test_file_that_appears_later_is_taken_up(
    server: GrpcServer, open_registry: OpenRegistry, ca_file: Path, tmp_path: Path
) -> None:
    server.options = {"ca": str(tmp_path / "later.pem")}
    registry = open_registry(server.url)
    with pytest.raises(RegistryError, match="cannot be read"):
        registry.current(AMD64)
    ca_file.rename(tmp_path / "later.pem")
    assert registry.current(AMD64) == RELEASE


def test_key_of_another_certificate_is_told_so(
    mutual: GrpcServer, open_registry: OpenRegistry, authority: trustme.CA, tmp_path: Path
) -> None:
    cert = written(authority.issue_cert("web1"), tmp_path / "one")["cert"]
    key = written(authority.issue_cert("web1"), tmp_path / "two")["key"]
    mutual.options |= {"cert": cert, "key": key}
    with pytest.raises(RegistryError, match="key values mismatch") as raised:
        open_registry(mutual.url).current(AMD64)
    assert cert in raised.value.message
    assert key not in str(raised.value)


_ON_A_TERMINAL = """
import os, sys
os.open(sys.argv[1], os.O_RDWR)  # the first terminal that a new session opens is its own
os.close(os.open("/dev/tty", os.O_RDWR))
from dewy.errors import RegistryError
from dewy_registry_grpc.target import Tls
from dewy_registry_grpc.trust import read_certificates
try:
    read_certificates(Tls(cert=sys.argv[2], key=sys.argv[3]), {})
except RegistryError as error:
    print(error)
"""


def test_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(authority: trustme.CA, tmp_path: Path) -> None:
    """On the terminal, where OpenSSL would wait for it for ever."""
    leaf = authority.issue_cert("web1")
    files = written(leaf, tmp_path)
    encrypted = load_pem_private_key(leaf.private_key_pem.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
    )
    Path(files["key"]).write_bytes(encrypted)
    near, far = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ON_A_TERMINAL, os.ttyname(far), files["cert"], files["key"]],
            stdin=far, capture_output=True, text=True, timeout=20, start_new_session=True, check=True,
        )  # fmt: skip
    finally:
        os.close(near)
        os.close(far)
    assert "cannot be used with the private key" in done.stdout
    assert "not encrypted" in done.stdout
