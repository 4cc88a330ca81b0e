"""What to do next, from what the registry offers and what this host knows. Pure.

Versions are not compared here: the registry is the truth (R26), also when it goes back to an older one.
"""

from __future__ import annotations

from dataclasses import dataclass

from dewy.durations import format_duration
from dewy.state import State
from dewy.types import Release

__all__ = ["Decision", "Deploy", "Skip", "decide"]


@dataclass(frozen=True, slots=True)
class Deploy:
    """Deploy it; ``reason`` says why it is not what runs."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave it; ``reason`` says why."""

    reason: str


Decision = Deploy | Skip


def decide(release: Release, state: State, *, retry_in: float = 0.0) -> Decision:
    """What to do about a release.

    Args:
        release: What the registry offers.
        state: What this host runs and holds.
        retry_in: Seconds until it may be tried again, after it has failed here; 0 when it has not.
    """
    if state.runs(release):
        return Skip("it runs here")
    if held := state.holds(release):
        return Skip(f"it is on hold since {held.at}: {held.reason}")
    if retry_in > 0:
        return Skip(f"it has failed and is tried again in {format_duration(retry_in)}")
    if state.current is None:
        return Deploy("nothing runs here yet")
    if state.current.version == release.version:
        return Deploy("the registry has other bytes under the version that runs")
    return Deploy(f"{state.current.version} runs here")
