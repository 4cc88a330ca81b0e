"""What ``--port`` takes (R13): from the user's words to addresses to listen on. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dewy.errors import UsageError

__all__ = ["LONGEST_PATH", "MAX_RANGE", "Address", "parse_ports"]

MAX_RANGE = 100
"""Ports that one range may have at most (R13)."""

LONGEST_PATH = 107
"""Bytes that the path of a unix socket may have: ``sun_path`` of unix(7), less the NUL at its end."""

_TAKES = (
    "--port takes a port (8000), a list (8000,8443), a range of at most 100 ports (8000-8005), HOST:PORT"
    " (127.0.0.1:8000, [::1]:8000) or the path of a unix socket (/run/app.sock)"
)
_ENDPOINT = re.compile(r"(?:(?P<host>.*):)?(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?", re.ASCII)
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9_-]+(?<!-)(?:\.(?!-)[A-Za-z0-9_-]+(?<!-))*\.?", re.ASCII)
_NOT_IN_A_PATH = re.compile(r"[;=\x00-\x1f\x7f]")
_NOT_IN_A_NAME = re.compile(r"[^\x21-\x39\x3b-\x7e]")

Kind = Literal["ipv4", "ipv6", "unix"]


@dataclass(frozen=True, slots=True)
class Address:
    """One address to listen on.

    Attributes:
        spec: As the user gave it, a range being cut into single ports: the key of ``SERVER_STARTER_PORT``.
        kind: What sort of socket it takes.
        host: Name or literal without brackets; empty for every IPv4 address of the host, and for a unix socket.
        port: 1 to 65535; 0 for a unix socket.
        path: Of a unix socket, as given; otherwise empty.
        name: Under which the application knows the socket, where that is another's than its own.
    """

    spec: str
    kind: Kind
    host: str = ""
    port: int = 0
    path: str = ""
    name: str = ""

    @property
    def fd_name(self) -> str:
        """The socket's name in ``LISTEN_FDNAMES``: the spec, without what systemd does not allow there."""
        return self.name or _NOT_IN_A_NAME.sub("-", self.spec)[:255]


def parse_ports(specs: Sequence[str]) -> tuple[Address, ...]:
    """Reads what the user gave to ``--port``, each time it was given.

    Raises:
        UsageError: One of them is none, or two of them are the same address.
    """
    addresses: list[Address] = []
    for spec in specs:
        for address in _parse_spec(spec):
            twin = next((other for other in addresses if _overlap(other, address)), None)
            if twin:
                what = "is given twice" if twin.spec == address.spec else f"is already taken by {twin.spec!r}"
                raise UsageError(f"--port {spec!r}: {address.spec!r} {what}", _TAKES)
            addresses.append(address)
    return tuple(addresses)


def _parse_spec(spec: str) -> Iterator[Address]:
    """The addresses of one ``--port``: its items between commas."""
    hosted = False
    for item in (part.strip() for part in spec.split(",")):
        if "/" in item:
            yield _unix(spec, item)
            continue
        for address in _endpoint(spec, item):
            if hosted and not address.host:
                # in 127.0.0.1:8000,8443 the second port would be open to everybody: nobody means that
                raise UsageError(
                    f"--port {spec!r}: it is not clear where {item} listens, after an item with a host",
                    f"Write the host before each port, or give {item} in a --port of its own",
                )
            hosted = hosted or bool(address.host)
            yield address


def _endpoint(spec: str, item: str) -> Iterator[Address]:
    """``PORT``, ``FIRST-LAST``, ``HOST:PORT`` or ``HOST:FIRST-LAST``."""
    match = _ENDPOINT.fullmatch(item)
    if not match:
        raise UsageError(f"--port {spec!r}: {item!r} is no port and no address", _TAKES)
    kind, host, shown = _host(spec, match["host"])
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not (1 <= first <= 65535 and 1 <= last <= 65535):
        raise UsageError(f"--port {spec!r}: a port is a number from 1 to 65535", _TAKES)
    if last < first:
        raise UsageError(f"--port {spec!r}: the range {first}-{last} is the wrong way round", _TAKES)
    if last - first >= MAX_RANGE:
        raise UsageError(f"--port {spec!r}: a range has at most {MAX_RANGE} ports, this one has {last - first + 1}", _TAKES)
    for port in range(first, last + 1):
        single = item if match["last"] is None else f"{shown}{port}"
        yield Address(single, kind, host, port)


def _host(spec: str, text: str | None) -> tuple[Kind, str, str]:
    """Kind, host and how it is written before a port; raises UsageError."""
    if text is None:
        return "ipv4", "", ""
    if text.startswith("[") and text.endswith("]"):
        if not _is_literal(text[1:-1], ipaddress.IPv6Address):
            raise UsageError(f"--port {spec!r}: {text} is no IPv6 address", _TAKES)
        return "ipv6", text[1:-1], f"{text}:"
    if ":" in text and _is_literal(text, ipaddress.IPv6Address):
        raise UsageError(f"--port {spec!r}: an IPv6 address stands in brackets", _TAKES)
    numeric = not re.search(r"[^0-9.]", text)
    if not (_is_literal(text, ipaddress.IPv4Address) if numeric else _HOSTNAME.fullmatch(text)):
        raise UsageError(f"--port {spec!r}: {text!r} is no host", _TAKES)
    return "ipv4", text, f"{text}:"


def _is_literal(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _unix(spec: str, path: str) -> Address:
    """The path of a unix socket."""
    if _NOT_IN_A_PATH.search(path):
        raise UsageError(
            f"--port {spec!r}: the path of a unix socket has no ';', no '=' and no control characters",
            "SERVER_STARTER_PORT could not tell it to the application",
        )
    if path.endswith("/"):
        raise UsageError(f"--port {spec!r}: {path!r} is a directory", _TAKES)
    if len(path.encode(errors="surrogateescape")) > LONGEST_PATH:
        raise UsageError(f"--port {spec!r}: the path of a unix socket has at most {LONGEST_PATH} bytes", _TAKES)
    return Address(path, "unix", path=path)


def _overlap(one: Address, other: Address) -> bool:
    """Whether both cannot be bound: the same address, or one that is part of the other."""
    if (one.kind, one.port, one.path) != (other.kind, other.port, other.path):
        return False
    hosts = {_canonical(one), _canonical(other)}
    return len(hosts) == 1 or bool(hosts & {"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


def _canonical(address: Address) -> str:
    if address.kind == "ipv6":
        return str(ipaddress.IPv6Address(address.host))
    return address.host.lower() or "0.0.0.0"  # noqa: S104 - compared with, not bound
