"""A candidate: a version that runs beside the one that serves, on sockets of its own that no user can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dewy.errors import StartError
from dewy.supervisor.addresses import Address
from dewy.supervisor.exits import describe_exit, explain_exit
from dewy.supervisor.generation import Generation
from dewy.supervisor.launch import Launch
from dewy.supervisor.sockets import Sockets

__all__ = ["PREFLIGHT_VARIABLE", "Candidate", "for_preflight"]

PREFLIGHT_VARIABLE = "DEWY_PREFLIGHT"
"""Is ``1`` in the environment of a candidate, for an application that does things but for serving when it starts."""


class Candidate:
    """One generation on private sockets. :meth:`ended` and the addresses are for any thread.

    Args:
        generation: It, ready.
        sockets: Its own; closed when it is gone.

    Attributes:
        addresses: Where it listens, in the order of the public addresses.
    """

    def __init__(self, generation: Generation, sockets: Sockets) -> None:
        self._generation, self._sockets = generation, sockets
        self.addresses: Sequence[Address] = tuple(listener.bound for listener in sockets.listeners)

    def ended(self) -> StartError | None:
        """Why it has ended, if it has."""
        if not self._generation.ended.done():
            return None
        ending = self._generation.ended.result()
        return StartError(
            f"{self._generation.launch.version} ended with {describe_exit(ending.code)} in its preflight",
            explain_exit(ending.code),
            output=ending.output,
            code=ending.code,
        )

    def output(self) -> tuple[str, ...]:
        """The last lines it wrote."""
        return self._generation.output

    async def stop(self, grace: float) -> None:
        """Asks it to finish, waits until it is gone, and closes its sockets."""
        self._generation.finish(grace)
        await self._generation.until_gone(grace)
        self._sockets.close()


def for_preflight(launch: Launch) -> Launch:
    """What to start for a preflight: the same, but it can know that it is one."""
    return replace(launch, environ={**launch.environ, PREFLIGHT_VARIABLE: "1"})
