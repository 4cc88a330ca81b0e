"""One exchange with one host over pooled connections, and what its failures mean.

The only module that speaks to ``httpcore``. Imported when the client is first used.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpcore

from dewy.durations import format_duration
from dewy.http.errors import HttpError
from dewy.http.headers import Headers, whole_number
from dewy.http.hops import Hop
from dewy.http.lanes import Lanes, Way
from dewy.http.network import Deadline, DeadlineBackend, under
from dewy.http.politeness import Limits
from dewy.http.proxies import proxy_for

__all__ = ["Exchange", "Wire"]

_DRAINED = 1 << 14
"""Bytes; reading more than this costs more than a new connection."""

_UNSENT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, httpcore.ProxyError)
_BAD_CERTIFICATE_HINT = (
    "If its authority is your own, name the file with its certificate in SSL_CERT_FILE; else do not trust this host"
)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What an error is about. ``peer`` is whom the connection is made to, as texts name it: the host or a proxy."""

    hop: Hop
    deadline: Deadline
    limits: Limits
    proxy: str | None

    @property
    def peer(self) -> str:
        if self.proxy is None:
            return self.hop.host
        return f"the proxy {self.proxy.partition('://')[2].rpartition('@')[2].partition('/')[0]}"


class Exchange:
    """An answer whose header has come and whose body may be read once."""

    def __init__(self, response: httpcore.Response, scene: _Scene) -> None:
        self._response, self._scene = response, scene
        self.status = response.status
        self.headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)

    @property
    def length(self) -> int | None:
        """Bytes of the body as stated; None when they are not."""
        return None if "transfer-encoding" in self.headers else whole_number(self.headers.get("content-length"))

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises HttpError when it breaks off."""
        with _explained(self._scene):
            yield from self._response.iter_stream()

    def drain(self) -> None:
        """Reads a short body that nobody wants, so that the connection can be used again."""
        if self.status == 304 or (self.length is not None and self.length <= _DRAINED):
            try:
                for _ in self.pieces():
                    pass
            except HttpError:
                pass  # nobody wanted it; the connection is closed then


class Wire:
    """The way to every host, direct or through the proxy that the environment names.

    Args:
        environ: The environment: proxies and ``SSL_CERT_FILE``.
        limits: How long each step may take.
    """

    def __init__(self, environ: Mapping[str, str], limits: Limits) -> None:
        self._environ, self._limits = environ, limits
        self._lock = threading.Lock()
        self._trust: ssl.SSLContext | None = None
        self._lanes = Lanes(limits.connections, limits.idle, self._open)
        # What is left until a call's deadline, each step on the network looks up for itself.
        self._extensions = {"timeout": {"connect": limits.connect, "read": limits.silence, "write": limits.silence}}

    def close(self) -> None:
        """Closes all connections."""
        self._lanes.close()

    @contextmanager
    def exchange(self, hop: Hop, extra: Mapping[str, str], deadline: Deadline) -> Iterator[Exchange]:
        """Sends one request and has its answer, up to the header.

        Args:
            hop: The request.
            extra: More header fields.
            deadline: For all of it, the reading of the body included unless it is lifted.

        Raises:
            HttpError: There was no answer; says why.
        """
        fields = [("Host", hop.host), *extra.items(), *hop.headers.items(), *hop.credentials.items()]
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        scheme, host, _ = hop.origin
        url = httpcore.URL(scheme=scheme.encode(), host=host.encode(), port=hop.explicit_port, target=hop.target.encode())
        scene = _Scene(hop, deadline, self._limits, proxy_for(*hop.origin, self._environ))
        with under(deadline), ExitStack() as stack:
            with _explained(scene):
                patience = min(self._limits.connect, max(deadline.left(), 0))
                pool = stack.enter_context(self._lanes.lend((hop.origin, scene.proxy), patience))
                stream = pool.stream(hop.method, url, headers=headers, content=hop.content, extensions=self._extensions)
                response = stack.enter_context(stream)
            yield Exchange(response, scene)

    def _open(self, way: Way) -> httpcore.ConnectionPool:
        (scheme, _, _), proxy = way
        return httpcore.ConnectionPool(
            # Reading hundreds of authorities takes time and memory, and plain http does not need them.
            ssl_context=self._trusted() if scheme == "https" else None,
            proxy=None if proxy is None else self._proxy(proxy),
            max_connections=1,
            keepalive_expiry=self._limits.idle,
            network_backend=DeadlineBackend(),
        )

    def _trusted(self) -> ssl.SSLContext:
        """Whom TLS trusts: the file or folder the environment names, else the system's authorities and Mozilla's."""
        with self._lock:
            if self._trust is None:
                self._trust = _trusted(self._environ.get("SSL_CERT_FILE") or None, self._environ.get("SSL_CERT_DIR") or None)
            return self._trust

    def _proxy(self, url: str) -> httpcore.Proxy:
        try:
            parts = urlsplit(url)
            if parts.scheme in {"http", "https", "socks5", "socks5h"} and parts.hostname and parts.port != 0:
                bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
                auth = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
                return httpcore.Proxy(bare, auth=auth, ssl_context=self._trusted() if parts.scheme == "https" else None)
        except ValueError:
            pass  # no URL at all
        raise HttpError(
            f"the proxy that the environment names cannot be used: {url.rpartition('@')[2]}",
            "HTTPS_PROXY and HTTP_PROXY take the form http://user:password@proxy:port",
            sent=False,
        )


def _trusted(file: str | None, folder: str | None) -> ssl.SSLContext:
    if file is None and folder is None:
        return httpcore.default_ssl_context()
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise HttpError(
            f"the certificates of SSL_CERT_FILE={file or ''} SSL_CERT_DIR={folder or ''} cannot be read: {error}",
            "Name a file of PEM certificates that can be read, or unset it",
            sent=False,
        ) from None


@contextmanager
def _explained(scene: _Scene) -> Iterator[None]:
    """Turns what the library raises into errors that name host and cause. Nothing of the library's text is kept."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise _explain(error, scene) from None
    except (ImportError, RuntimeError) as error:
        if "socks" not in str(error).lower():
            raise
        raise HttpError(
            f"{scene.hop.host} is to be asked through a SOCKS proxy, for which a library is missing",
            "pip install 'httpcore[socks]', or use an http proxy",
            sent=False,
        ) from None


def _explain(error: Exception, scene: _Scene) -> HttpError:
    hop = scene.hop
    sent = not isinstance(error, _UNSENT)
    if isinstance(error, httpcore.TimeoutException):
        return HttpError(*_too_slow(error, scene), transient=True, sent=sent)
    if isinstance(error, httpcore.ConnectError):
        return _not_connected(error, scene)
    if isinstance(error, httpcore.ProxyError):
        return _proxy_refused(str(error), hop)
    if isinstance(error, httpcore.LocalProtocolError | httpcore.UnsupportedProtocol):
        return HttpError(f"the request to {hop.shown} cannot be sent as HTTP", "This is a fault of the caller", sent=False)
    if isinstance(error, httpcore.RemoteProtocolError) and "buffer too long" in str(error).lower():
        return HttpError(f"{hop.host} sends a header without end for {hop.shown}", transient=True)
    return HttpError(f"{hop.host} broke off in the middle of {hop.method} {hop.shown}", transient=True)


def _too_slow(error: Exception, scene: _Scene) -> tuple[str, str]:
    hop, limits, deadline = scene.hop, scene.limits, scene.deadline
    if isinstance(error, httpcore.PoolTimeout):
        return f"{hop.host} is not asked: all {limits.connections} connections are in use", ""
    if deadline.left() <= 0:
        return f"{hop.host} did not answer {hop.method} {hop.shown} in full within {format_duration(deadline.seconds)}", ""
    if isinstance(error, httpcore.ConnectTimeout):
        return (
            f"{scene.peer} gave no connection within {format_duration(limits.connect)}",
            "Is a firewall or a proxy in between, and does its name resolve?",
        )
    return f"{hop.host} went silent for {format_duration(limits.silence)} during {hop.method} {hop.shown}", ""


def _proxy_refused(said: str, hop: Hop) -> HttpError:
    status = whole_number(said[:3])
    if status == 407:
        return HttpError(
            f"the proxy wants credentials for {hop.host} (407)",
            "Give them in HTTPS_PROXY, as http://user:password@proxy:port",
            status=407,
            sent=False,
        )
    transient = status is None or status >= 500
    return HttpError(
        f"the proxy does not connect to {hop.host} ({said[:80]})", status=status, transient=transient, sent=False
    )


def _not_connected(error: Exception, scene: _Scene) -> HttpError:
    hop, peer = scene.hop, scene.peer
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                message = f"the certificate of {hop.host} is not accepted: {cause.verify_message}"
                return HttpError(message, _BAD_CERTIFICATE_HINT, sent=False)
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
                break
            case ssl.SSLError():
                reason = (cause.reason or "unknown").replace("_", " ").lower()
                return HttpError(f"no TLS connection to {hop.host}: {reason}", "Does it speak https there?", sent=False)
            case socket.gaierror() | UnicodeError():
                return HttpError(
                    f"the name of {peer} does not resolve",
                    "Check its spelling and this host's DNS",
                    transient=True,
                    sent=False,
                )
            case ConnectionRefusedError():
                hint = "Does the server run, and listen on that port?"
                return HttpError(f"{peer} refuses the connection", hint, transient=True, sent=False)
            case OSError() if cause.strerror:
                return HttpError(f"no connection to {peer}: {cause.strerror}", transient=True, sent=False)
    hint = "Does it speak https there?" if hop.origin[0] == "https" else ""
    return HttpError(f"{peer} broke off while the connection was made", hint, transient=True, sent=False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
