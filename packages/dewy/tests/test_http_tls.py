"""TLS and proxies, with real certificates and a real proxy."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from dewy.http import HttpClient, HttpError, Limits, Retries
from http_server import Connection, Hangup, Request, Server, says

ONCE = Retries(tries=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment that names the authority's certificate."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return {"SSL_CERT_FILE": str(file)}


def certificate(authority: trustme.CA, *names: str, **details: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **details).configure_cert(context)  # type: ignore[arg-type]
    return context


def failure(http: HttpClient, url: str) -> HttpError:
    with http, pytest.raises(HttpError) as caught:
        http.get(url)
    return caught.value


def test_an_authority_that_the_environment_names_is_trusted(authority: trustme.CA, trust: dict[str, str]) -> None:
    with Server(says(200, b"safe"), certificate(authority, "127.0.0.1")) as server, HttpClient(trust) as http:
        assert http.get(server.url).content == b"safe"
        assert http.get(server.url).content == b"safe"
    assert server.connections == 1


def test_another_authority_is_refused_with_the_cure_and_nothing_is_sent(authority: trustme.CA) -> None:
    with Server(says(), certificate(authority, "127.0.0.1")) as server:
        error = failure(HttpClient({}), f"{server.url}/?token=canary")
        assert server.requests == []
        assert server.connections == 1
    assert f"the certificate of {server.host} is not accepted: " in error.message
    assert "SSL_CERT_FILE" in error.hint
    assert not error.transient


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, trust: dict[str, str]) -> None:
    with Server(says(), certificate(authority, "other.example")) as server:
        error = failure(HttpClient(trust), server.url)
    assert "IP address mismatch" in error.message


def test_an_expired_certificate_is_refused(authority: trustme.CA, trust: dict[str, str]) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with Server(says(), certificate(authority, "127.0.0.1", not_after=yesterday)) as server:
        error = failure(HttpClient(trust), server.url)
    assert "certificate has expired" in error.message


def test_https_to_a_plain_port_says_so(trust: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_refuse, args=(listener,), daemon=True).start()
        peer = f"127.0.0.1:{listener.getsockname()[1]}"
        error = failure(HttpClient(trust, retries=ONCE), f"https://{peer}/")
    assert f"no TLS connection to {peer}" in error.message
    assert "Does it speak https" in error.hint


def _refuse(listener: socket.socket) -> None:
    """As a web server without TLS: a client's greeting is no request, whatever its random bytes are."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def test_a_handshake_that_never_ends_is_given_up(trust: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        http = HttpClient(trust, limits=Limits(connect=0.3), retries=ONCE)
        error = failure(http, f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert "gave no connection within 0.3s" in error.message


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    error = failure(HttpClient({"SSL_CERT_FILE": str(file)}), "https://127.0.0.1:1/")
    assert f"SSL_CERT_FILE={file}" in error.message


def test_a_redirect_from_https_to_http_is_refused_without_asking_there(authority: trustme.CA, trust: dict[str, str]) -> None:
    with Server(says()) as plain:
        location = f"{plain.url}/x?sig=canary"
        with Server(says(302, Location=location), certificate(authority, "127.0.0.1")) as server:
            error = failure(HttpClient(trust), server.url)
        assert plain.connections == 0
    assert "redirects from https to plain http on 127.0.0.1: refused" in error.message
    assert "canary" not in str(error)


def test_a_redirect_from_http_to_https_is_followed_without_the_credentials(
    authority: trustme.CA, trust: dict[str, str]
) -> None:
    with (
        Server(says(200, b"safe"), certificate(authority, "127.0.0.1")) as safe,
        Server(says(301, Location=safe.url)) as plain,
        HttpClient(trust) as http,
    ):
        assert http.get(plain.url, credentials={"Authorization": "x"}).content == b"safe"
    assert "authorization" not in safe.requests[0].headers


# ---------------------------------------------------------------------------------------------------------------- proxies


def forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def tunnel(origin: Server) -> object:
    """A proxy's application: whatever host is asked for, ``origin`` answers."""

    def application(request: Request, connection: Connection) -> None:
        if request.headers.get("proxy-authorization") != "Basic dXNlcjpwdyEvQA==":  # user:pw!/@
            connection.answer(407)
        elif request.method == "CONNECT":
            connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            with socket.create_connection(("127.0.0.1", origin.port)) as upstream:
                back = threading.Thread(target=forward, args=(upstream, connection.sock), daemon=True)
                back.start()
                forward(connection.sock, upstream)
                back.join(5)
            raise Hangup
        else:
            with closing(HttpClient({})) as http:
                path = request.target.removeprefix("http://service.example")
                connection.answer(200, b"proxied " + http.get(origin.url + path).content)

    return application


@pytest.fixture
def proxied() -> Iterator[Server]:
    """The proxy in front of a plain server."""
    with Server(says(200, b"plain")) as origin, Server(tunnel(origin)) as proxy:  # type: ignore[arg-type]
        yield proxy


def test_http_goes_through_the_proxy_of_the_environment(proxied: Server) -> None:
    with HttpClient({"http_proxy": f"http://user:pw%21%2F%40@{proxied.host}"}) as http:
        assert http.get("http://service.example/path").content == b"proxied plain"
    assert proxied.requests[0].target == "http://service.example/path"


def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_credential(authority: trustme.CA, trust: dict[str, str]) -> None:
    with (
        Server(says(200, b"safe"), certificate(authority, "service.example")) as origin,
        Server(tunnel(origin)) as proxy,  # type: ignore[arg-type]
    ):
        environ = {**trust, "HTTPS_PROXY": f"http://user:pw%21%2F%40@{proxy.host}"}
        with HttpClient(environ) as http:
            response = http.get("https://service.example/x", credentials={"Authorization": "canary"})
    assert response.content == b"safe"
    assert proxy.requests[0].target == "service.example:443"
    assert "canary" not in repr(proxy.requests)
    assert origin.requests[0].headers["authorization"] == "canary"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_says_so_and_the_wrong_ones_are_not_shown(proxied: Server, scheme: str) -> None:
    environ = {"all_proxy": f"http://user:canary@{proxied.host}"}
    error = failure(HttpClient(environ), f"{scheme}://service.example/")
    assert "the proxy wants credentials" in error.message
    assert error.status == 407
    assert "canary" not in str(error)


def test_a_proxy_that_is_not_there_is_named_as_the_proxy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(HttpClient({"https_proxy": f"u:canary@127.0.0.1:{port}"}, retries=ONCE), "https://service.example/")
    assert error.message == f"the proxy 127.0.0.1:{port} refuses the connection"


@pytest.mark.parametrize("proxy", ["ftp://u:canary@proxy:1", "http://", "http://[::1", "http://u:canary@proxy:port"])
def test_a_proxy_that_cannot_be_one_is_named_without_its_secrets(proxy: str) -> None:
    error = failure(HttpClient({"http_proxy": proxy}), "http://service.example/")
    assert "the proxy that the environment names cannot be used" in error.message
    assert "canary" not in str(error)


def test_a_socks_proxy_without_its_library_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    for module in [name for name in sys.modules if name.startswith("httpcore._sync.socks")]:
        monkeypatch.delitem(sys.modules, module)
    error = failure(HttpClient({"all_proxy": "socks5://127.0.0.1:1"}), "http://service.example/")
    assert "SOCKS proxy" in error.message
    assert "pip install 'httpcore[socks]'" in error.hint
