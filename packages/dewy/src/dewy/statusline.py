"""What dewy does, in one line for people: what ``systemctl status`` shows. Learnt from events. Pure."""

from __future__ import annotations

from typing import ClassVar

from dewy import events
from dewy.types import Event

__all__ = ["MOST_CHARACTERS", "StatusLine"]

MOST_CHARACTERS = 600
"""Of a line at most. systemd takes no message of more than 4096 bytes, and a character may have four."""

_FAILURES = {
    events.DEPLOYMENT_FAILED.name: "deployment",
    events.ROLLBACK_FAILED.name: "deployment",
    events.APPLICATION_CRASHED.name: "application",
    events.RESTART_FAILED.name: "application",
    events.REGISTRY_FAILED.name: "registry",
    events.DEWY_FAULT.name: "dewy",
    events.UPGRADE_FAILED.name: "dewy",
}
"""Events that are a failure, and of what."""
_MENDS = {
    events.DEPLOYMENT_DONE.name: ("deployment", "application", "dewy"),
    events.ROLLBACK_DONE.name: ("application",),
    events.APPLICATION_RECOVERED.name: ("application",),
    events.APPLICATION_RESTARTED.name: ("application",),
    events.REGISTRY_RECOVERED.name: ("registry",),
}
"""Events after which a failure is history."""
_VERSIONS = frozenset(
    (events.DEWY_READY.name, events.DEPLOYMENT_DONE.name, events.ROLLBACK_DONE.name, events.APPLICATION_RESTARTED.name)
)
"""Events whose version is the one that runs from then on."""
_BEGINS = frozenset((events.DEPLOYMENT_STARTED.name, events.DEPLOYMENT_RESUMED.name))
_ENDS = frozenset(
    (
        *(events.DEPLOYMENT_DONE.name, events.DEPLOYMENT_FAILED.name, events.DEPLOYMENT_INTERRUPTED.name),
        *(events.ROLLBACK_DONE.name, events.ROLLBACK_FAILED.name, events.DEWY_FAULT.name),
    )
)
"""Events with which a deployment begins and ends."""


class StatusLine:
    """The line as of the last event.

    Attributes:
        restarting: Whether a restart of the application that somebody asked for is under way.
    """

    EVENTS: ClassVar[frozenset[str]] = frozenset(
        (
            *(events.DEWY_STARTED.name, events.DEWY_UPGRADED.name, events.DEWY_STOPPING.name),
            *(events.GENERATION_STARTED.name, events.GENERATION_READY.name),
            *_FAILURES, *_MENDS, *_VERSIONS, *_BEGINS, *_ENDS,
        )
    )  # fmt: skip
    """The names of those that it learns from."""

    def __init__(self) -> None:
        self.restarting = False
        self._dewy = ""
        self._serves = "runs"
        self._version = ""
        self._up = self._down = False
        self._candidate: object = None
        self._deploying = ""
        self._stopping = ""
        self._failures: dict[str, str] = {}

    def take(self, event: Event) -> None:
        """Learns from an event."""
        match event.name:
            case events.DEWY_STARTED.name | events.DEWY_UPGRADED.name:
                self._dewy, self._version = _field(event, "dewy_version"), _version(event)
                self._serves = "runs" if event.fields.get("command") == "server" else "is current"
            case events.DEWY_READY.name:
                self._up = True
            case events.DEWY_STOPPING.name:
                self._stopping = _field(event, "reason")
            case _:
                self._take_work(event)
                self._take_application(event)
        self._take_failure(event)
        if event.name in _VERSIONS:
            self._version = _version(event)

    def _take_work(self, event: Event) -> None:
        if event.name in _BEGINS:
            self._deploying = _field(event, "version")
        elif event.name in _ENDS:
            self._deploying = ""

    def _take_application(self, event: Event) -> None:
        match event.name:
            case events.GENERATION_STARTED.name:
                self.restarting = event.fields.get("reason") == "restart"
                if event.fields.get("reason") == "preflight":
                    self._candidate = event.fields.get("generation")
            case events.GENERATION_READY.name if event.fields.get("generation") != self._candidate:
                self._down = False
            case events.APPLICATION_CRASHED.name:
                self._down, self.restarting = True, False
            case events.APPLICATION_RESTARTED.name | events.RESTART_FAILED.name:
                self.restarting = False

    def _take_failure(self, event: Event) -> None:
        for topic in _MENDS.get(event.name, ()):
            self._failures.pop(topic, None)
        if topic := _FAILURES.get(event.name, ""):
            self._failures.pop(topic, None)  # the last to happen stands last
            self._failures[topic] = f"{event.at:%Y-%m-%d %H:%M:%S}Z: {event.text}"

    def __str__(self) -> str:
        parts = [self._what_runs(), *self._what_it_does()]
        if self._failures:
            parts.append(f"last failure {[*self._failures.values()][-1]}")
        return one_line("; ".join(parts))

    def _what_runs(self) -> str:
        dewy = f"dewy {self._dewy}" if self._dewy else "dewy"
        if not self._version:
            return f"{dewy}: nothing runs yet"
        if not self._up:
            return f"{dewy}: starting {self._version}"
        return f"{dewy}: {self._version} " + ("is down and will be started again" if self._down else self._serves)

    def _what_it_does(self) -> list[str]:
        if self._stopping:
            return [f"stopping ({self._stopping})"]
        return [f"deploying {self._deploying}"] * bool(self._deploying) + ["restarting the application"] * self.restarting


def _field(event: Event, name: str) -> str:
    return str(event.fields.get(name) or "")


def _version(event: Event) -> str:
    """The version that runs; empty if there is none."""
    version = _field(event, "version")
    return "" if version == "nothing yet" else version


def one_line(text: str) -> str:
    """A text that systemd takes as a value: one line, printable, and not too long.

    A version's name comes from a registry: a line break in it must not become an order to the service manager.
    """
    printable = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return printable if len(printable) <= MOST_CHARACTERS else printable[: MOST_CHARACTERS - 1] + "…"
