"""The application under supervision: its sockets, its processes, and the swap from one generation to the next.

All of it runs on the main thread, in asyncio; only :class:`SupervisorBridge` may be used from other threads. What is
named here is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dewy.supervisor.addresses import Address, parse_ports
    from dewy.supervisor.bridge import SupervisorBridge
    from dewy.supervisor.generation import Means
    from dewy.supervisor.launch import Launch
    from dewy.supervisor.orphans import Orphans
    from dewy.supervisor.settings import SupervisorSettings
    from dewy.supervisor.sockets import Sockets, bind
    from dewy.supervisor.status import Status
    from dewy.supervisor.supervisor import Supervisor

__all__ = [
    "Address",
    "Launch",
    "Means",
    "Orphans",
    "Sockets",
    "Status",
    "Supervisor",
    "SupervisorBridge",
    "SupervisorSettings",
    "bind",
    "parse_ports",
]

_HOMES = {
    "Address": "addresses",
    "Launch": "launch",
    "Means": "generation",
    "Orphans": "orphans",
    "Sockets": "sockets",
    "Status": "status",
    "Supervisor": "supervisor",
    "SupervisorBridge": "bridge",
    "SupervisorSettings": "settings",
    "bind": "sockets",
    "parse_ports": "addresses",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
