"""Messages as dewy makes them: two that tests of notifiers are about, and one of every kind that notifiers tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dewy.events import EVENTS
from dewy.notify import Facts, message_of
from dewy.types import Event, FieldValue, Message

__all__ = ["DONE", "FAILED", "FIELDS", "samples"]

DONE = Message(
    event="deployment.done",
    level="info",
    title="myapp on web1: v1.4.0 is deployed",
    text="v1.4.0 is deployed (before: v1.3.9) in 2.1s",
    application="myapp",
    host="web1",
    at=datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC),
    version="v1.4.0",
    previous_version="v1.3.9",
    registry="s3://us-east-1/releases/myapp",
    seconds=2.1,
    deployment="20240315T143020Z",
)
"""It went well."""

FAILED = replace(
    DONE,
    event="hook.failed",
    level="error",
    title="myapp on web1: the before hook of v1.4.0 failed",
    text="the before hook of v1.4.0 failed: it ended with status 3. v1.3.9 serves on, v1.4.0 is tried again in 10 s",
    hook="./migrate.sh --all",
    status=3,
    output='migrating\nERROR: relation "users" does not exist\n',
    output_size=49,
    error="it ended with status 3",
)
"""It did not."""

_OUTPUT = 'migrating\nERROR: relation "users" does not exist'
_SCOPE = {"deployment": "20240315T143020Z", "previous_version": "v1.3.9"}
_HOOK = {"hook": "./migrate.sh --all", "phase": "before", "seconds": 2.1, "version": "v1.4.0"}
_NO_ANSWER = "GET https://api.example.com/releases failed: no answer within 30s"

FIELDS: dict[str, dict[str, FieldValue]] = {
    "dewy.started": {
        "dewy_version": "1.0.0", "application": "myapp", "registry": "s3://us-east-1/releases/myapp", "command": "server",
        "pid": 4711, "host": "web1", "version": "v1.3.9", "runs": "v1.3.9",
    },
    "dewy.upgraded": {
        "dewy_version": "1.1.0", "previous": "1.0.0", "runs": "v1.3.9", "version": "v1.3.9", "application": "myapp",
        "registry": "s3://us-east-1/releases/myapp", "command": "server", "pid": 4711, "host": "web1",
    },
    "upgrade.failed": {"error": "the dewy that is installed now cannot take over: ImportError. This one goes on"},
    "dewy.stopped": {
        "application": "myapp", "seconds": 1.2, "reason": "SIGTERM", "version": "v1.3.9",
        "keeps": "myapp v1.3.9 does not run any more",
    },
    "state.unsaved": {"error": "writing the state failed: No space left on device"},
    "disk.failed": {"error": "removing old releases failed: Permission denied"},
    "dewy.fault": {"error": "KeyError: 'versions'", "retry_seconds": 60, "traceback": "Traceback …"},
    "registry.failed": {
        "failures": 3, "error": _NO_ANSWER, "retry_seconds": 40.0, "version": "v1.3.9", "keeps": "v1.3.9 runs on",
    },
    "registry.recovered": {"failures": 3},
    "registry.stale_long": {"failures": 30, "version": "v1.3.9", "error": _NO_ANSWER},
    "deployment.started": {
        **_SCOPE, "version": "v1.4.0", "artifact": "myapp_linux_amd64.tar.gz", "reason": "v1.3.9 runs here",
        "directory": "20240315T143020Z",
    },
    "artifact.changed": {
        **_SCOPE, "version": "v1.4.0", "previous_version": "v1.4.0", "artifact": "myapp_linux_amd64.tar.gz",
        "digest": "sha256:5891b5b5", "previous_digest": "sha256:b5bb9d80",
    },
    "deployment.done": {
        **_SCOPE, "version": "v1.4.0", "seconds": 2.1, "artifact": "myapp_linux_amd64.tar.gz", "digest": "sha256:5891b5b5",
        "directory": "20240315T143020Z",
    },
    "deployment.failed": {
        **_SCOPE, "version": "v1.4.0", "error": "v1.4.0 ended with exit status 1 after 0.2s, before it was ready",
        "keeps": "v1.3.9 runs on", "next": "v1.4.0 is on hold until the registry offers another, or: dewy unhold v1.4.0",
        "phase": "start", "seconds": 2.1, "output": "listening on port 8000\nfatal: cannot read config.yaml",
    },
    "rollback.done": {
        **_SCOPE, "version": "v1.3.9", "previous_version": "v1.4.0", "seconds": 0.4, "artifact": "myapp_linux_amd64.tar.gz",
        "digest": "sha256:b5bb9d80", "directory": "20240314T091500Z",
        "next": "v1.4.0 is on hold; another version is deployed when the registry offers one",
        "reason": "alice rolled back to v1.3.9",
    },
    "rollback.failed": {
        **_SCOPE, "version": "v1.3.9", "previous_version": "v1.4.0", "keeps": "v1.4.0 runs on", "seconds": 0.4,
        "error": "v1.3.9 ended with exit status 1 after 0.2s, before it was ready", "output": "fatal: no config.yaml",
    },
    "hook.done": {**_SCOPE, **_HOOK, "status": 0, "output": "nothing to migrate", "output_size": 18},
    "hook.failed": {
        **_SCOPE, **_HOOK, "status": 3, "output": _OUTPUT, "output_size": 81_920, "error": "ended with status 3",
    },
    "application.crashed": {
        "how": "SIGSEGV", "uptime": 321.5, "retry_seconds": 1.0, "generation": 2, "pid": 4712, "version": "v1.3.9",
        "output": "free(): invalid pointer", "crashes": 1,
    },
    "application.recovered": {"crashes": 3, "generation": 5, "version": "v1.3.9"},
    "application.restarted": {"seconds": 0.8, "version": "v1.3.9", "generation": 6, "reason": "operator alice"},
    "restart.failed": {
        "version": "v1.3.9",
        "error": "generation 7 ended with exit status 1 after 0.2s, before it was ready",
        "output": "fatal: cannot read config.yaml",
    },
}  # fmt: skip
"""What each kind that is told has in its fields, on a day that might be."""


def samples() -> dict[str, Message]:
    """A message of every kind that notifiers tell, as the core makes it, by the event's name."""
    facts = Facts(application=DONE.application, host=DONE.host, registry=DONE.registry)
    messages = (message_of(_event(name), facts) for name, kind in EVENTS.items() if kind.title)
    return {message.event: message for message in messages if message}


def _event(name: str) -> Event:
    kind, fields = EVENTS[name], FIELDS[name]
    return Event(name=name, level=kind.level, text=kind.text.format_map(fields), at=DONE.at, fields=fields)
