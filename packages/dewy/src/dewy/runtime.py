"""What every part of a running dewy shares."""

from __future__ import annotations

from dataclasses import dataclass

from dewy.context import PluginContext
from dewy.events import Emit
from dewy.guard import Guard
from dewy.plugins import Plugins
from dewy.settings import Settings
from dewy.waker import Waker

__all__ = ["Runtime"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """The means that the parts of the deployer work with.

    Attributes:
        settings: What the user asked for.
        plugins: Where backends come from.
        context: What backends are lent.
        waker: How to wait.
        guard: How to call a plugin.
        emit: How to say what happens.
    """

    settings: Settings
    plugins: Plugins
    context: PluginContext
    waker: Waker
    guard: Guard
    emit: Emit
