"""What to start, and the environment it is started with (R80). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dewy.supervisor.addresses import Address

__all__ = ["FIRST_FD", "INSTANCE_VARIABLE", "ROOT_VARIABLE", "Launch", "Mark", "child_environment"]

FIRST_FD = 3
"""Where the sockets begin in the application, for both conventions: ``SD_LISTEN_FDS_START``."""

ROOT_VARIABLE = "DEWY_ROOT"
INSTANCE_VARIABLE = "DEWY_INSTANCE"

_OUTER_NAMES = frozenset(
    {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"}
)
"""What a service manager told dewy itself. ``LISTEN_…`` beyond these is the user's own, ``LISTEN_ADDRESS`` say."""
_OUTER_PREFIX = "SERVER_STARTER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start.

    Attributes:
        argv: The command line. A first word with a slash is relative to ``directory``; one without is looked up in the
            ``PATH`` of ``environ``.
        directory: The working directory of the application: its root. Absolute.
        environ: The environment, to which the supervisor adds.
        version: Of the application, for people.
        release: The name of the release directory, by which the caller knows what still runs.
        says_ready: Whether this very release is known to say ``READY=1``; None when it never ran, and then what the
            application has done so far counts.
    """

    argv: tuple[str, ...]
    directory: Path
    environ: Mapping[str, str] = field(repr=False)
    version: str
    release: str = ""
    says_ready: bool | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a process is known to be ours, after the dewy that started it was killed (R86).

    Attributes:
        root: The application's root directory.
        token: Random, of this root: a root's name alone could stand in anybody's environment.
    """

    root: Path
    token: str


def child_environment(
    launch: Launch, *, addresses: Sequence[Address], generation: int, notify_socket: str, mark: Mark
) -> dict[str, str]:
    """The application's environment. ``LISTEN_PID`` is set by the shell between fork and exec."""
    environ = {
        name: value
        for name, value in launch.environ.items()
        if name not in _OUTER_NAMES and not name.startswith(_OUTER_PREFIX)
    }
    pairs = (f"{address.spec}={descriptor}" for descriptor, address in enumerate(addresses, FIRST_FD))
    environ |= {
        "SERVER_STARTER_PORT": ";".join(pairs),
        "SERVER_STARTER_GENERATION": str(generation),
        "NOTIFY_SOCKET": notify_socket,
        ROOT_VARIABLE: str(mark.root),
        INSTANCE_VARIABLE: mark.token,
    }
    if addresses:
        environ["LISTEN_FDS"] = str(len(addresses))
        environ["LISTEN_FDNAMES"] = ":".join(address.fd_name for address in addresses)
    return environ
