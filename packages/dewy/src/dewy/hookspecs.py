"""The plugin contract, on one page.

A plugin is a distribution with an entry point in the group ``dewy`` that leads to a module with some of these functions,
each marked with :data:`hookimpl`. Hooks return what the plugin brings; they are called when dewy looks for a backend, so
they import no SDK: :attr:`dewy.types.Backend.open` does.

An implementation may leave out arguments it does not need. A misspelt hook or argument is refused when the plugin loads.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from dewy.types import Artifact, Backend, Cache, Catalog, Deployment, Event, Notifier, Registry, Result

PROJECT = "dewy"
"""The entry-point group and the name pluggy knows the hooks by."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""


@hookspec
def dewy_registries() -> Iterable[Backend[Registry | Catalog]]:
    """Where versions are. Called once, when a registry URL is looked up or plugins are listed.

    Returns:
        The registry backends of this plugin. Raising makes the plugin a broken one in ``dewy plugins list``.
    """


@hookspec
def dewy_artifacts() -> Iterable[Backend[Artifact]]:
    """How bytes are fetched. Called once, when an artifact URL is looked up or plugins are listed.

    Returns:
        The artifact backends of this plugin. Raising makes the plugin a broken one.
    """


@hookspec
def dewy_caches() -> Iterable[Backend[Cache]]:
    """Where dewy keeps artifacts. Called once, when a cache URL is looked up or plugins are listed.

    Returns:
        The cache backends of this plugin. Raising makes the plugin a broken one.
    """


@hookspec
def dewy_notifiers() -> Iterable[Backend[Notifier]]:
    """Who is told. Called once, when a notifier URL is looked up or plugins are listed.

    Returns:
        The notifier backends of this plugin. Raising makes the plugin a broken one.
    """


@hookspec
def dewy_before_deploy(deployment: Deployment) -> None:
    """May veto a deployment. Called in the deployer's thread when the artifact is there and nothing is unpacked yet.

    Args:
        deployment: What is about to be deployed.

    Raising stops the deployment: nothing is unpacked or switched, the running version stays, the error is notified, and
    the deployment is tried again later, ever less often. Implementations are called one by one; the first that raises
    ends it.
    """


@hookspec
def dewy_after_deploy(deployment: Deployment, result: Result) -> None:
    """Follows a deployment. Called in the deployer's thread, for every outcome; on success the new process runs, and when
    the deployment was undone (``rolled_back``) the version before is current again.

    Args:
        deployment: What was deployed, or was to be.
        result: How it ended.

    Raising is logged and notified and changes nothing.
    """


@hookspec
def dewy_event(event: Event) -> None:
    """Sees every event, for metrics and journals. Called in a thread of its own, one event at a time, in order.

    Args:
        event: What happened.

    An implementation that is slow loses events (which is logged), it never delays anything. Raising is logged.
    """
