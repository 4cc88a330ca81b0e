"""One HTTP request to an application, with a deadline for all of it."""

from __future__ import annotations

import socket
import time
from http import HTTPStatus

import h11

from dewy.supervisor.addresses import Address

__all__ = ["http_problem"]

_READ = 65536


def http_problem(address: Address, path: str, limit: float) -> str:
    """Why an application is not healthy, as the end of a sentence that begins with "it"; empty for a 2xx or 3xx answer.

    Args:
        address: Where it listens.
        path: What is asked for, from its first slash on.
        limit: Seconds that connecting, asking and the head of the answer may take together.
    """
    deadline = time.monotonic() + limit
    try:
        with _connected(address, limit) as connection:
            status = _status(connection, path, deadline)
    except TimeoutError:
        return f"did not answer GET {path} within {limit:g}s"
    except h11.RemoteProtocolError as error:
        return f"did not answer GET {path} in HTTP: {error}"
    except OSError as error:
        return f"did not answer GET {path}: {error.strerror or error}"
    if status is None:
        return f"hung up on GET {path}"
    return "" if 200 <= status < 400 else f"answered GET {path} with {_named(status)}"


def _connected(address: Address, limit: float) -> socket.socket:
    if address.kind != "unix":
        return socket.create_connection((_local(address), address.port), timeout=limit)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(limit)
        connection.connect(address.path)
    except BaseException:
        connection.close()
        raise
    return connection


def _local(address: Address) -> str:
    """The host to connect to: what listens everywhere is reached here."""
    wildcards = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound
    return wildcards.get(address.host, address.host)


def _status(connection: socket.socket, path: str, deadline: float) -> int | None:
    """The status of the answer; None when there is none."""
    http = h11.Connection(h11.CLIENT)
    headers = [("Host", "localhost"), ("User-Agent", "dewy"), ("Accept", "*/*"), ("Connection", "close")]
    request = http.send(h11.Request(method="GET", target=path, headers=headers)) or b""
    connection.sendall(request + (http.send(h11.EndOfMessage()) or b""))
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            http.receive_data(connection.recv(_READ))
        elif isinstance(event, h11.Response):
            return event.status_code
        elif not isinstance(event, h11.InformationalResponse):
            return None


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
