"""What a supervisor leaves to the one that takes its place in this process: which descriptors, and what they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GenerationRecord", "ListenerRecord", "SupervisorRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRecord:
    """A listening socket.

    Attributes:
        spec: Its address, as the user gave it.
        descriptor: Of the socket.
        file: Of a unix socket: its absolute path, device and inode.
    """

    spec: str
    descriptor: int
    file: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRecord:
    """A generation that is alive.

    Attributes:
        number: ``SERVER_STARTER_GENERATION``.
        pid: Of the leader of its process group: a child of this process.
        version: Of the application.
        release: The release directory's name.
        began: When it was started. Monotonic.
        since: The same by the clock, ISO 8601.
        said_ready: Whether it has said ``READY=1``.
        is_stopping: Whether it says that it is stopping.
        text: What it last said of itself.
        kill_at: When it is killed because it was asked to finish and has not. Monotonic; None when it was not asked.
        notify: The descriptor and the name of the socket on which it speaks.
        outputs: The descriptors of the pipes into which it prints.
        output: The last lines it wrote.
    """

    number: int
    pid: int
    version: str
    release: str
    began: float
    since: str
    said_ready: bool
    is_stopping: bool
    text: str
    kill_at: float | None
    notify: tuple[int, str]
    outputs: tuple[int, int]
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorRecord:
    """A supervisor's generations.

    Attributes:
        listeners: The sockets, in their order.
        number: Of the generation that was started last.
        current: Of the generation that serves; None when none does.
        generations: All that are alive.
    """

    listeners: tuple[ListenerRecord, ...]
    number: int
    current: int | None
    generations: tuple[GenerationRecord, ...]

    def descriptors(self) -> tuple[int, ...]:
        """All that must stay open."""
        owned = ((*one.outputs, one.notify[0]) for one in self.generations)
        return (
            *(one.descriptor for one in self.listeners),
            *(number for numbers in owned for number in numbers if number >= 0),
        )
