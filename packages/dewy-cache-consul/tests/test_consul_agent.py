"""Which agent a URL and the environment lead to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from consul_agent import start_agent
from consul_stores import agent_of, store_of
from dewy.errors import UsageError
from dewy.urls import parse_url
from dewy_cache_consul.agent import prefix_of
from dewy_cache_consul.keys import encode_key
from dewy_cache_consul.plugin import CACHE
from server_processes import free_port
from store_checks import failure_of


@pytest.mark.parametrize(
    ("url", "environ", "authority", "secure"),
    [
        ("consul://", {}, "127.0.0.1:8500", False),
        ("consul+https:///dewy", {}, "127.0.0.1:8501", True),
        ("consul://one.example.com", {}, "one.example.com:8500", False),
        ("consul://one:1/a/b", {"CONSUL_HTTP_ADDR": "two:2"}, "one:1", False),
        ("consul://", {"CONSUL_HTTP_ADDR": "two:2"}, "two:2", False),
        ("consul://", {"CONSUL_HTTP_ADDR": "http://two:2"}, "two:2", False),
        ("consul://", {"CONSUL_HTTP_ADDR": "https://two:2"}, "two:2", True),
        ("consul://", {"CONSUL_HTTP_ADDR": "two:2", "CONSUL_HTTP_SSL": "true"}, "two:2", True),
        ("consul://[::1]:7", {}, "[::1]:7", False),
    ],
)
def test_address(url: str, environ: Mapping[str, str], authority: str, secure: bool) -> None:
    agent = agent_of(url, environ)
    assert (agent.authority, agent.tls is not None) == (authority, secure)


@pytest.mark.parametrize(
    ("url", "environ", "reason"),
    [
        ("consul://a,b", {}, "several hosts"),
        ("consul://u:p@a", {}, "user name"),
        ("consul://", {"CONSUL_HTTP_ADDR": "ftp://a"}, "CONSUL_HTTP_ADDR"),
        ("consul://", {"CONSUL_HTTP_ADDR": "unix://"}, "CONSUL_HTTP_ADDR"),
        ("consul+https://", {"CONSUL_HTTP_ADDR": "unix:///a"}, "wants TLS"),
        ("consul+https://a", {"CONSUL_HTTP_SSL_VERIFY": "false"}, "CONSUL_HTTP_SSL_VERIFY"),
        ("consul://a", {"CONSUL_HTTP_SSL": "perhaps"}, "CONSUL_HTTP_SSL"),
        ("consul+https://a?cert=x", {}, "only one"),
        ("consul://a?ca=x", {}, "no TLS"),
        ("consul://a", {"CONSUL_HTTP_TOKEN": "a b"}, "CONSUL_HTTP_TOKEN"),
    ],
)
def test_what_cannot_be_used_is_refused(url: str, environ: Mapping[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        agent_of(url, environ)


@pytest.mark.parametrize(
    ("path", "prefix"), [("", "dewy/"), ("/", "dewy/"), ("/a/b/", "a/b/"), ("/my.app-1_x/1.2", "my.app-1_x/1.2/")]
)
def test_prefix(path: str, prefix: str) -> None:
    """It is written as it is, as an ACL rule names it."""
    assert prefix_of(parse_url(f"consul://h{path}", CACHE.options)) == prefix == encode_key(prefix)


@pytest.mark.parametrize("path", ["/a..b", "/.a", "/a.", "/a/../b", "/a//b", "/a b", "/ä", "/a,b"])
def test_prefix_that_would_be_written_otherwise_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="prefix"):
        prefix_of(parse_url(f"consul://h{path}", CACHE.options))


def test_token_of_the_url_counts_first() -> None:
    environ = {"CONSUL_HTTP_TOKEN": "theirs", "CONSUL_HTTP_TOKEN_FILE": "/none"}
    agent = agent_of("consul://a?token=mine", environ)
    assert (agent.token, agent.token_file) == ("mine", "")
    assert "mine" not in repr(agent)


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with start_agent(tmp_path / "consul", {"addresses": {"http": f"127.0.0.1 unix://{path}"}}):
        store = store_of("consul://", {"CONSUL_HTTP_ADDR": f"unix://{path}"})
        store.set("a", b"x")
        assert store.get("a") == b"x"
    assert str(path) in failure_of(lambda: store.get("a")).message


def test_tls(tmp_path: Path) -> None:
    """The authority, the name and this host's certificate are checked; what is missing is told."""
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    for name in ("server", "client"):
        leaf = authority.issue_cert("localhost")
        leaf.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        leaf.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
    port = free_port()
    configuration = {
        "ports": {"https": port},
        "ca_file": str(ca),
        "cert_file": str(tmp_path / "server.pem"),
        "key_file": str(tmp_path / "server.key"),
        "verify_incoming_https": True,
    }
    url = f"consul+https://localhost:{port}"
    mine = f"cert={tmp_path}/client.pem&key={tmp_path}/client.key"
    with start_agent(tmp_path / "consul", configuration) as agent:
        store = store_of(f"{url}?ca={ca}&{mine}")
        store.set("a", b"x" * store.largest)
        assert store.get("a") == b"x" * store.largest
        assert "not signed by" in failure_of(lambda: store_of(f"{url}?{mine}").get("a")).message
        assert "certificate" in failure_of(lambda: store_of(f"{url}?ca={ca}").get("a")).message
        other = f"consul+https://127.0.0.1:{port}?ca={ca}&{mine}"
        assert "another name" in failure_of(lambda: store_of(other).get("a")).message
        named = store_of(other, {"CONSUL_TLS_SERVER_NAME": "localhost"})
        assert named.get("a")
        plain = f"consul+https://localhost:{agent.port}?ca={ca}&{mine}"
        assert "does not speak TLS" in failure_of(lambda: store_of(plain).get("a")).message
        assert "speaks TLS" in failure_of(lambda: store_of(f"consul://localhost:{port}").get("a")).message
