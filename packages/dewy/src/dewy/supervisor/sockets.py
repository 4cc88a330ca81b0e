"""The listening sockets: bound once by dewy, inherited by every generation of the application (R80)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from dewy import events
from dewy.errors import DewyError, HostError
from dewy.supervisor.addresses import LONGEST_PATH, Address
from dewy.supervisor.inheritance import ListenerRecord
from dewy.supervisor.launch import FIRST_FD

__all__ = ["Listener", "Sockets", "adopt", "bind", "bind_private", "lift"]

_BACKLOG = 65535
"""More than any system allows: the kernel cuts it to its own limit (``net.core.somaxconn``)."""

_SOCKET_MODE = 0o666
"""Of a unix socket's file, as in systemd: whoever may enter its directory may connect, whatever dewy's umask is."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket.

    Attributes:
        address: What was asked for.
        socket: Blocking, listening, not inheritable: the spawn places it in the child.
        file: Of a unix socket: its absolute path, device and inode, by which it is known to be ours still.
    """

    address: Address
    socket: socket.socket
    file: tuple[Path, int, int] | None = None

    @property
    def record(self) -> ListenerRecord:
        """What is left to another dewy in this process."""
        file = (str(self.file[0]), *self.file[1:]) if self.file else None
        return ListenerRecord(spec=self.address.spec, descriptor=self.socket.fileno(), file=file)

    @property
    def bound(self) -> Address:
        """Where it listens indeed: of a private one the port that the kernel has chosen, of a unix socket the whole path."""
        if self.file:
            return replace(self.address, path=str(self.file[0]))
        host, port = self.socket.getsockname()[:2]
        return replace(self.address, host=host, port=port)

    def close(self) -> None:
        """Closes the socket, and removes its file unless somebody has put another in its place."""
        self.socket.close()
        if self.file:
            path, device, inode = self.file
            with contextlib.suppress(OSError):  # gone, or not ours to remove any more
                found = path.lstat()
                if (found.st_dev, found.st_ino) == (device, inode):
                    path.unlink()


class Sockets:
    """The sockets of one application, in the order of their descriptors in it.

    Args:
        listeners: They.
        scratch: A directory that was made for them, and goes with them.
    """

    def __init__(self, listeners: Sequence[Listener], scratch: Path | None = None) -> None:
        self.listeners = tuple(listeners)
        self._scratch = scratch

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What they listen on."""
        return tuple(listener.address for listener in self.listeners)

    @property
    def bound(self) -> tuple[Address, ...]:
        """Where they listen indeed, whatever the path of a unix socket is relative to."""
        return tuple(listener.bound for listener in self.listeners)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Their descriptors in this process, none of them below the first one free in the application."""
        return tuple(listener.socket.fileno() for listener in self.listeners)

    def close(self) -> None:
        """Stops listening: connections that nobody has accepted are reset. Once is enough, twice does no harm."""
        for listener in self.listeners:
            listener.close()
        self.listeners = ()
        if self._scratch:
            with contextlib.suppress(OSError):  # gone, or somebody has put something there
                self._scratch.rmdir()

    def __enter__(self) -> Sockets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def bind(addresses: Sequence[Address], emit: events.Emit, directory: Path | None = None) -> Sockets:
    """Listens on all addresses, or on none.

    Args:
        addresses: From :func:`parse_ports`.
        emit: Is told what dewy listens on.
        directory: What the path of a unix socket is relative to; None for the working directory.

    Raises:
        HostError: An address is taken, not allowed or not of this host.
    """
    floor = FIRST_FD + len(addresses)
    with contextlib.ExitStack() as undo:
        listeners = []
        for address in addresses:
            listener = _listen(address, floor, directory or Path.cwd())
            undo.callback(listener.close)
            listeners.append(listener)
        undo.pop_all()
    if addresses:
        emit(events.SOCKETS_BOUND, addresses=", ".join(address.spec for address in addresses))
    return Sockets(listeners)


def adopt(addresses: Sequence[Address], records: Sequence[ListenerRecord]) -> Sockets:
    """The sockets that another dewy has bound in this process. Raises DewyError when they are not those of the addresses."""
    if [record.spec for record in records] != [address.spec for address in addresses]:
        there = ", ".join(record.spec for record in records) or "none"
        raise DewyError(f"the sockets that are open are others than those asked for: {there}", "Restart dewy instead")
    listeners = []
    for address, record in zip(addresses, records, strict=True):
        os.set_inheritable(record.descriptor, False)
        file = (Path(record.file[0]), record.file[1], record.file[2]) if record.file else None
        listeners.append(Listener(address, socket.socket(fileno=record.descriptor), file))
    return Sockets(listeners)


def bind_private(addresses: Sequence[Address], directory: Path) -> Sockets:
    """Stand-ins for sockets, of the same kinds and under the same names, that only this host can reach: for a preflight.

    Args:
        addresses: The public ones.
        directory: Where stand-ins for unix sockets are made: one that is its owner's alone.

    Raises:
        HostError: This host has no room for them.
    """
    floor, scratch = FIRST_FD + len(addresses), None
    if len(os.fsencode(directory / _stand_in_name(len(addresses)))) > LONGEST_PATH:
        directory = scratch = Path(tempfile.mkdtemp(prefix="dewy-"))  # its owner's alone, too
    with contextlib.ExitStack() as undo:
        if scratch:
            undo.callback(scratch.rmdir)
        listeners = []
        for number, address in enumerate(addresses):
            stand_in = _stand_in(address, number)
            listener = _listen(stand_in, floor, directory)
            undo.callback(listener.close)
            # the application finds it under the name that it knows, and under the address that it has
            bound = replace(listener.bound, spec=_spec_of(listener.bound), name=address.fd_name)
            listeners.append(replace(listener, address=bound))
        undo.pop_all()
    return Sockets(listeners, scratch)


def _stand_in_name(number: int) -> str:
    return f"preflight-{number}.sock"


def _stand_in(address: Address, number: int) -> Address:
    if address.kind == "unix":
        return Address(_stand_in_name(number), "unix", path=_stand_in_name(number))
    return Address("preflight", address.kind, "::1" if address.kind == "ipv6" else "127.0.0.1", 0)


def _spec_of(bound: Address) -> str:
    if bound.kind == "unix":
        return bound.path
    return f"[{bound.host}]:{bound.port}" if bound.kind == "ipv6" else f"{bound.host}:{bound.port}"


def lift(descriptor: int, floor: int) -> int:
    """The same open file at ``floor`` or above, not inheritable; the one given is closed if that is another one.

    Descriptors that a spawn places in a child must not be among the numbers it fills there. Raises OSError.
    """
    if descriptor >= floor:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, floor)
    finally:
        os.close(descriptor)


def _listen(address: Address, floor: int, directory: Path) -> Listener:
    try:
        if address.kind == "unix":
            return _listen_unix(address, floor, directory / address.path)
        return Listener(address, _listen_tcp(address, floor))
    except OSError as error:
        raise HostError(*_why(address, error)) from error


def _listen_tcp(address: Address, floor: int) -> socket.socket:
    family = socket.AF_INET6 if address.kind == "ipv6" else socket.AF_INET
    found = socket.getaddrinfo(address.host or None, address.port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as undo:
        opened = undo.enter_context(_open(family, floor))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(found[0][4])
        opened.listen(_BACKLOG)
        undo.pop_all()
    return opened


def _listen_unix(address: Address, floor: int, path: Path) -> Listener:
    _clear_stale(path)
    with contextlib.ExitStack() as undo:
        opened = undo.enter_context(_open(socket.AF_UNIX, floor))
        opened.bind(str(path))
        undo.callback(path.unlink)
        path.chmod(_SOCKET_MODE)
        found = path.lstat()
        opened.listen(_BACKLOG)
        undo.pop_all()
    return Listener(address, opened, (path, found.st_dev, found.st_ino))


def _open(family: socket.AddressFamily, floor: int) -> socket.socket:
    fresh = socket.socket(family, socket.SOCK_STREAM)
    return socket.socket(fileno=lift(fresh.detach(), floor))


def _clear_stale(path: Path) -> None:
    """Removes the socket file that a process which is dead has left. Raises HostError when it is anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise HostError(f"{path} is there and is no socket", "Name another path, or move the file away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # its queue is full: somebody listens
    raise HostError(f"another program listens on {path}", f"`ss -xlp src {path}` shows which: stop it, or name another path")


def _why(address: Address, error: OSError) -> tuple[str, str]:
    """What failed, and the cure."""
    what = f"cannot listen on {address.spec}: {error.strerror or error}"
    if isinstance(error, socket.gaierror):
        return what, "The host's name does not lead to an address of this kind"
    if error.errno == errno.EADDRINUSE:
        return what, f"Another program has the port: `ss -ltnp 'sport = :{address.port}'` shows which one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return what, _cure_of_permission(address)
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return what, "This host does not have that address: `ip address` shows those it has"
    if error.errno in (errno.EMFILE, errno.EINVAL):
        return what, "This process may open too few files for so many ports: raise `ulimit -n`"
    return what, ""


def _cure_of_permission(address: Address) -> str:
    if address.kind == "unix":
        return "Check the owner and the permissions of its directory, and which user dewy runs as"
    return (
        "A port below 1024 takes root, the capability CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=)"
        " or a lower net.ipv4.ip_unprivileged_port_start"
    )
