"""What one dewy leaves to the next in the same process, as a document that both understand.

It is in a file of memory without a name, whose descriptor is in :data:`VARIABLE`.
"""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

from dewy.errors import DewyError
from dewy.supervisor.inheritance import GenerationRecord, ListenerRecord, SupervisorRecord

__all__ = ["PROBE_VARIABLE", "VARIABLE", "Handover", "read_handover", "take_handover", "write_handover"]

VARIABLE = "DEWY_HANDOVER"
PROBE_VARIABLE = "DEWY_HANDOVER_PROBE"
"""Is set where a dewy is only asked whether it could take over."""

_FORMAT = 1
_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What is left.

    Attributes:
        dewy_version: Of the dewy that leaves it.
        lock: The descriptor of the root's lock, which is held.
        supervisor: Its generations; None for assets.
        probe: Whether it is only asked if it could be taken.
    """

    dewy_version: str
    lock: int
    supervisor: SupervisorRecord | None
    probe: bool = False

    def descriptors(self) -> tuple[int, ...]:
        """All that must stay open."""
        return (self.lock, *(self.supervisor.descriptors() if self.supervisor else ()))


def write_handover(handover: Handover) -> int:
    """Writes the document; its descriptor, which a program that is executed inherits. Raises OSError."""
    descriptor = os.memfd_create("dewy-handover", 0)
    try:
        os.set_inheritable(descriptor, True)
        data = memoryview(json.dumps({"format": _FORMAT, **asdict(handover)}).encode())
        while data:
            data = data[os.write(descriptor, data) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def take_handover(environ: MutableMapping[str, str]) -> Handover | None:
    """What another dewy has left to this process; None where none has. Its variables are gone then: nobody inherits them.

    Raises DewyError for a document that this dewy does not understand.
    """
    told, probe = environ.pop(VARIABLE, ""), bool(environ.pop(PROBE_VARIABLE, ""))
    if not told:
        return None
    try:
        descriptor = int(told)
        content = os.pread(descriptor, _MOST_BYTES, 0)  # at its place: the probe shares the offset with its parent
        os.close(descriptor)
        return read_handover(content, probe=probe)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DewyError(
            f"what the dewy before has left is not understood: {type(error).__name__}: {error}", "Restart dewy instead"
        ) from error


def read_handover(content: bytes, *, probe: bool) -> Handover:
    """The document from its bytes. Raises ValueError, TypeError or KeyError for one that is not understood."""
    data = json.loads(content)
    if data["format"] != _FORMAT:
        raise ValueError(f"its form is {data['format']!r}, this dewy reads {_FORMAT}")
    supervisor = data["supervisor"]
    return Handover(
        dewy_version=str(data["dewy_version"]),
        lock=int(data["lock"]),
        supervisor=_supervisor(supervisor) if supervisor else None,
        probe=probe,
    )


def _supervisor(data: dict[str, Any]) -> SupervisorRecord:
    return SupervisorRecord(
        listeners=tuple(
            ListenerRecord(**{**one, "file": tuple(one["file"]) if one["file"] else None}) for one in data["listeners"]
        ),
        number=int(data["number"]),
        current=data["current"],
        generations=tuple(_generation(one) for one in data["generations"]),
    )


def _generation(data: dict[str, Any]) -> GenerationRecord:
    lists = {name: tuple(data[name]) for name in ("notify", "outputs", "output")}
    return GenerationRecord(**{**data, **lists})
