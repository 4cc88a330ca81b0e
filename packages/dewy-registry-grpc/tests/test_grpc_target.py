"""Registry URLs: which server they name, and which of them are refused with what words."""

from __future__ import annotations

import pytest

from dewy.errors import UsageError
from dewy.urls import parse_url
from dewy_registry_grpc.plugin import REGISTRY
from dewy_registry_grpc.target import Target, Tls


def target(url: str) -> Target:
    return Target.of(parse_url(url, REGISTRY.options, kind="registry"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("grpc://releases.example.com:8443", "dns:///releases.example.com:8443"),
        ("grpc://Releases.Example.COM:8443/", "dns:///releases.example.com:8443"),
        ("grpc://releases", "dns:///releases:443"),
        ("grpc://[::1]:50051", "dns:///[::1]:50051"),
        ("grpc://127.0.0.1:50051?no-tls=true", "dns:///127.0.0.1:50051"),
    ],
)
def test_url_names_the_server(url: str, address: str) -> None:
    assert target(url).address == address
    assert str(target(url)) == address.replace("dns:///", "grpc://")


def test_tls_is_on_unless_told_otherwise() -> None:
    assert target("grpc://releases:443").tls == Tls()
    assert target("grpc://releases:443?no-tls=false").tls == Tls()
    assert target("grpc://releases:443?no-tls=true").tls is None
    assert target("grpc://releases?ca=/a&cert=/b&key=/c%20d").tls == Tls("/a", "/b", "/c d")


@pytest.mark.parametrize("option", ["pre-release", "artifact"])
@pytest.mark.parametrize("value", ["=true", "=false", "=", ""])
def test_what_the_server_decides_is_refused_with_that_reason(option: str, value: str) -> None:
    """They are options of other registries, so "unknown" would mislead."""
    with pytest.raises(UsageError, match="a gRPC registry decides that itself") as raised:
        target(f"grpc://releases:443?{option}{value}")
    assert repr(option) in raised.value.message
    assert raised.value.hint.startswith("Leave it out: have the server")


def test_an_unknown_option_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown option 'tls' .*: artifact, ca, cert, key, no-tls, pre-release"):
        target("grpc://releases:443?tls=false")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("grpc://", "names no host"),
        ("grpc://:443", "names no host"),
        ("grpc://a%2Fb:443", "is not a host"),
        ("grpc://-a:443", "is not a host"),
        ("grpc://[::g]:443", "cannot be read"),
        ("grpc://releases:443/myapp", "has a path"),
        ("grpc://releases?no-tls=true", "names no port"),
        ("grpc://releases:0", "names no port"),
        ("grpc://releases:443?cert=/a", "only one of cert and key"),
        ("grpc://releases:443?key=/a", "only one of cert and key"),
        ("grpc://releases:443?no-tls=true&ca=/a", "certificates for TLS and no-tls"),
        ("grpc://releases:443?no-tls=maybe", "no-tls"),
    ],
)
def test_urls_that_name_no_server_are_refused(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        target(url)


def test_password_in_the_url_is_refused_and_not_shown() -> None:
    """gRPC has no such thing; whoever writes one must not believe it is used."""
    with pytest.raises(UsageError, match="has a user name") as raised:
        target("grpc://user:hunter2secret@releases:443")
    assert "hunter2secret" not in f"{raised.value} {raised.value!r}"


def test_path_of_the_private_key_is_not_shown() -> None:
    assert "/c" not in repr(target("grpc://releases?cert=/b&key=/c"))
