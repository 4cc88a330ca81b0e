"""The catalogue of events: everything dewy says, once, under a stable name.

The log, the notifiers, plugins and programs all read this one stream. Names and fields are part of the contract: fields
are added, never renamed. ``docs/events.md`` is made from this page. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from dewy.types import FieldValue, Level

__all__ = ["EVENTS", "Emit", "EventKind"]


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind of event.

    Attributes:
        name: Stable, dotted: what it is about, then what happened.
        level: How much it matters.
        text: The sentence for people, with its fields in braces: each of them is always given.
        more: Fields that are also always given and not in the sentence.
        optional: Fields that are given when they are known.
        title: What notifiers tell people in a line (R51); empty for what they do not tell.
        recorded: Whether the journal keeps it.
    """

    name: str
    level: Level
    text: str
    more: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    title: str = ""
    recorded: bool = False


class Emit(Protocol):
    """How a part of dewy says something: the stream's method, or a list in a test. Never blocks, never raises."""

    def __call__(self, kind: EventKind, /, **fields: FieldValue) -> None:
        """Says that this happened now. Fields are those the kind declares."""


def _kinds() -> Iterator[EventKind]:
    for value in globals().values():
        if isinstance(value, EventKind):
            yield value


# dewy itself
DEWY_STARTED = EventKind(
    "dewy.started",
    "info",
    "dewy {dewy_version} keeps {application} at the newest version of {registry}; what runs now: {runs}",
    more=("command", "pid", "host", "version"),
    title="dewy started",
    recorded=True,
)
DEWY_UPGRADED = EventKind(
    "dewy.upgraded",
    "info",
    "dewy {dewy_version} has taken over from {previous}; {runs} runs on",
    more=("application", "registry", "command", "pid", "host", "version"),
    title="dewy has replaced itself",
    recorded=True,
)
UPGRADE_FAILED = EventKind(
    "upgrade.failed",
    "error",
    "dewy could not replace itself: {error}",
    title="dewy could not replace itself",
    recorded=True,
)
DEWY_READY = EventKind("dewy.ready", "info", "dewy is up; what runs: {version}")
DEWY_STOPPING = EventKind("dewy.stopping", "info", "dewy stops: {reason}", recorded=True)
DEWY_STOPPED = EventKind(
    "dewy.stopped",
    "info",
    "dewy stopped ({reason}); {keeps}",
    more=("application", "version", "seconds"),
    title="dewy stopped",
)
DEWY_FAULT = EventKind(
    "dewy.fault",
    "error",
    "a fault in dewy itself: {error}; the application is not touched, dewy goes on in {retry_seconds}s",
    more=("traceback",),
    title="a fault in dewy",
    recorded=True,
)
STATE_UNSAVED = EventKind(
    "state.unsaved",
    "error",
    "the state cannot be written, which is tried again: {error}",
    title="the state cannot be written",
)
STATE_UNREADABLE = EventKind(
    "state.unreadable",
    "warn",
    "the state file cannot be read and is put aside as {aside}: {error}",
    recorded=True,
)
JOURNAL_FAILED = EventKind("journal.failed", "warn", "the history of this host is not written: {error}")
CONTROL_FAILED = EventKind("control.failed", "warn", "the commands of operators do not reach this dewy: {error}")

# the registry
REGISTRY_POLLED = EventKind(
    "registry.polled", "debug", "the registry offers {version}: {decision}", more=("artifact", "seconds")
)
REGISTRY_PENDING = EventKind("registry.pending", "debug", "nothing to deploy yet: {reason}")
REGISTRY_FAILED = EventKind(
    "registry.failed",
    "error",
    "the registry gives no answer that dewy can use ({failures} in a row): {error}. {keeps}; next try in {retry_seconds}s",
    more=("version",),
    title="the registry gives no usable answer",
    recorded=True,
)
REGISTRY_RECOVERED = EventKind(
    "registry.recovered",
    "info",
    "the registry answers again (failures: {failures})",
    title="the registry answers again",
    recorded=True,
)

REGISTRY_STALE = EventKind(
    "registry.stale",
    "warn",
    "the registry gives no answer to the host that asked for all of them: its last one, {version}, serves: {error}",
)
REGISTRY_STALE_LONG = EventKind(
    "registry.stale_long",
    "error",
    "the registry has given no answer for long ({failures} in a row): the last one, {version}, serves on: {error}",
    title="the registry gives no usable answer",
)
REGISTRY_FRESH = EventKind("registry.fresh", "info", "the registry answers again")

# one deployment, from the registry to the running process
DEPLOYMENT_STARTED = EventKind(
    "deployment.started",
    "info",
    "deploying {version}, {artifact}: {reason}",
    more=("previous_version", "directory"),
    title="deploying {version}",
)
ARTIFACT_CACHED = EventKind("artifact.cached", "info", "{artifact} of {version} comes from the cache", more=("bytes",))
ARTIFACT_DOWNLOADED = EventKind(
    "artifact.downloaded",
    "info",
    "{artifact} of {version} was downloaded: {bytes} bytes in {seconds}s",
    more=("digest",),
)
ARTIFACT_UNCHANGED = EventKind(
    "artifact.unchanged",
    "info",
    "{artifact} of {version} was published again with the same bytes: nothing to do",
)
ARTIFACT_CHANGED = EventKind(
    "artifact.changed", "warn",
    "{version} was published again with other bytes ({digest} in place of {previous_digest}): {artifact} is deployed anew",
    title="{version} was published again with other bytes",
    recorded=True,
)  # fmt: skip
RELEASE_UNPACKED = EventKind("release.unpacked", "info", "{version} is unpacked in {directory}", more=("seconds", "members"))
RELEASE_SWITCHED = EventKind("release.switched", "info", "current leads to {version} ({directory})")
RELEASE_REVERTED = EventKind("release.reverted", "warn", "current leads to {version} ({directory}) again")
RELEASE_REMOVED = EventKind("release.removed", "info", "the old release directory {directory} is removed")
PHASE_SECONDS = (
    "fetch_seconds",
    "before_seconds",
    "unpack_seconds",
    "switch_seconds",
    "preflight_seconds",
    "start_seconds",
    "bake_seconds",
)
"""How long each phase of a deployment took, of those that it came to."""
DEPLOYMENT_DONE = EventKind(
    "deployment.done",
    "info",
    "{version} is deployed (before: {previous_version}) in {seconds}s",
    more=("artifact", "digest", "directory"),
    optional=PHASE_SECONDS,
    title="{version} is deployed",
    recorded=True,
)
DEPLOYMENT_FAILED = EventKind(
    "deployment.failed",
    "error",
    "{version} could not be deployed: {error}. {keeps}; {next}",
    more=("previous_version", "phase", "seconds", "digest"),
    optional=("output", *PHASE_SECONDS),
    title="{version} could not be deployed",
    recorded=True,
)
VERSION_HELD = EventKind(
    "version.held",
    "warn",
    "{version} is on hold and will not be tried again: {reason}",
    more=("digest",),
    recorded=True,
)
VERSION_UNHELD = EventKind(
    "version.unheld", "info", "{version} is not on hold any more: {reason}", more=("digest",), recorded=True
)
DEPLOYMENT_INTERRUPTED = EventKind(
    "deployment.interrupted", "info", "the deployment of {version} is given up for now: {reason}", recorded=True
)
ROLLBACK_DONE = EventKind(
    "rollback.done",
    "warn",
    "{version} is back in place of {previous_version}, in {seconds}s ({reason}); {next}",
    more=("artifact", "digest", "directory"),
    title="rolled back to {version}",
    recorded=True,
)
ROLLBACK_FAILED = EventKind(
    "rollback.failed",
    "error",
    "could not go back to {version}: {error}. {keeps}",
    more=("previous_version", "seconds"),
    optional=("output",),
    title="could not roll back to {version}",
    recorded=True,
)
DEPLOYMENT_RESUMED = EventKind(
    "deployment.resumed",
    "info",
    "the deployment of {version} goes on where it was left ({phase})",
    recorded=True,
)
REPORT_DONE = EventKind("report.done", "debug", "the registry has the report on {version}")
REPORT_FAILED = EventKind(
    "report.failed", "warn", "the registry did not take the report on {version}: {error}", recorded=True
)

DISK_FAILED = EventKind(
    "disk.failed",
    "error",
    "the disk does not let dewy put things in order, which is tried again: {error}",
    title="the disk does not let dewy put things in order",
)

# hooks
HOOK_OUTPUT = EventKind("hook.output", "info", "{phase} hook: {line}", more=("version",))
HOOK_DONE = EventKind(
    "hook.done",
    "info",
    "the {phase} hook of {version} succeeded in {seconds}s",
    more=("hook", "output", "output_size", "status"),
    title="the {phase} hook of {version} succeeded",
    recorded=True,
)
HOOK_FAILED = EventKind(
    "hook.failed",
    "error",
    "the {phase} hook of {version} failed: {error}",
    more=("hook", "output", "output_size", "seconds"),
    optional=("status",),
    title="the {phase} hook of {version} failed",
    recorded=True,
)

# caches, plugins, delivery
ARTIFACT_AWAITED = EventKind(
    "artifact.awaited", "info", "another host downloads {artifact} of {version} for all: waiting for it", more=("seconds",)
)
ARTIFACT_DAMAGED = EventKind(
    "artifact.damaged", "warn", "what the cache has of {artifact} of {version} is not used: {error}"
)
FLEET_NEWS = EventKind("fleet.news", "debug", "another host has learnt of a new version: asking now")
CACHE_FAILED = EventKind("cache.failed", "warn", "the cache does not work, deployments go on without it: {error}")
CACHE_RECOVERED = EventKind("cache.recovered", "info", "the cache works again")
PLUGIN_BROKEN = EventKind("plugin.broken", "warn", "the plugin {plugin} does not load: {error}", more=("distribution",))
PLUGIN_FAILED = EventKind("plugin.failed", "warn", "the plugin {plugin} failed in {hook}: {error}")
NOTIFIER_FAILED = EventKind(
    "notifier.failed", "warn", "{notifier} could not be told of {event} (tries: {attempts}): {error}"
)
EVENTS_LOST = EventKind("events.lost", "warn", "{lost} events did not reach {consumer}: it is too slow, or does not answer")
LOG = EventKind("log", "info", "{message}", more=("logger",))

# the application under supervision
SOCKETS_BOUND = EventKind("sockets.bound", "info", "listening on {addresses}")
GENERATION_STARTED = EventKind(
    "generation.started", "info", "generation {generation} is started", more=("pid", "version", "reason")
)
GENERATION_READY = EventKind(
    "generation.ready", "info", "generation {generation} is ready after {seconds}s ({how})", more=("pid", "version")
)
GENERATION_FAILED = EventKind(
    "generation.failed", "error", "generation {generation} is not ready: {error}", more=("pid", "version")
)
GENERATION_STOPPING = EventKind("generation.stopping", "info", "generation {generation} is asked to finish", more=("pid",))
GENERATION_STOPPED = EventKind(
    "generation.stopped", "info", "generation {generation} finished ({how}) in {seconds}s", more=("pid",)
)
GENERATION_KILLED = EventKind(
    "generation.killed",
    "warn",
    "generation {generation} did not finish within {seconds}s and is killed",
    more=("pid",),
    recorded=True,
)
APPLICATION_CRASHED = EventKind(
    "application.crashed",
    "error",
    "{version} died ({how}) after {uptime}s, {crashes} in a row; it is started again in {retry_seconds}s",
    more=("generation", "pid", "output"),
    title="the application died",
    recorded=True,
)
APPLICATION_RECOVERED = EventKind(
    "application.recovered",
    "info",
    "{version} runs again (crashes: {crashes})",
    more=("generation",),
    title="the application runs again",
    recorded=True,
)
APPLICATION_RESTARTED = EventKind(
    "application.restarted",
    "info",
    "the application was restarted in {seconds}s at {version}, for {reason}",
    more=("generation",),
    title="the application was restarted",
    recorded=True,
)
RESTART_FAILED = EventKind(
    "restart.failed",
    "error",
    "the application could not be restarted: {error}; {version} serves on, as it was",
    optional=("output",),
    title="the application could not be restarted",
    recorded=True,
)
ORPHAN_STOPPED = EventKind(
    "orphan.stopped",
    "warn",
    "process group {group} of a dewy that was killed is stopped",
    more=("how",),
    recorded=True,
)

EVENTS: dict[str, EventKind] = {kind.name: kind for kind in list(_kinds())}
"""Every kind by its name, in the order of this page."""
