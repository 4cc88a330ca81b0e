"""What a running dewy does with the requests of operators."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from dewy.control.protocol import Request
from dewy.deployer import Deployer
from dewy.errors import DewyError
from dewy.host import host_name
from dewy.operators.overview import DewyFacts, Running, overview
from dewy.scope import within
from dewy.settings import Settings
from dewy.supervisor import Supervisor

__all__ = ["RequestHandler"]

T = TypeVar("T")


class RequestHandler:
    """Answers requests: what changes this host, the deployer does; what concerns the process, the supervisor.

    Args:
        settings: What the user asked for.
        deployer: In its own thread.
        supervisor: On the main thread, as this; None for assets.
        facts: What to say of this dewy, now.
        upgrade: Has this dewy become another one soon, which that one has agreed to; raises DewyError when it does not.
    """

    def __init__(
        self,
        settings: Settings,
        deployer: Deployer,
        supervisor: Supervisor | None,
        facts: Callable[[], DewyFacts],
        upgrade: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings, self._deployer, self._supervisor, self._facts = settings, deployer, supervisor, facts
        self._upgrade = upgrade

    async def __call__(self, request: Request) -> Mapping[str, Any]:
        """Does what is asked for. Raises DewyError when it cannot."""
        operations, version, operator = self._deployer.operations, request.version, request.operator
        match request.verb:
            case "status":
                return self._overview()
            case "restart":
                return await self._restart(operator)
            case "upgrade":
                with within(cause=f"operator {operator}"):
                    await self._upgrade()
                return {"previous": self._facts().version}
            case "rollback":
                done = await self._ask(lambda: operations.roll_back(version or None, operator))
                return {"version": done.release.version, "previous_version": done.left.version, "seconds": done.seconds}
            case "hold":
                return asdict(await self._ask(lambda: operations.hold(version, operator)))
            case "unhold":
                return asdict(await self._ask(lambda: operations.unhold(version, operator)))

    def busy_with(self, request: Request) -> str:
        """What dewy does at the moment, for whoever waits for this request."""
        mains = {"restart": "restarting the application", "upgrade": "asking the new dewy whether it can take over"}
        return mains.get(request.verb, self._deployer.activity)

    async def _ask(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._deployer.inbox.ask(work))

    async def _restart(self, operator: str) -> Mapping[str, Any]:
        if self._supervisor is None:
            raise DewyError("there is no process to restart: dewy assets keeps files only")
        with within(cause=f"operator {operator}"):
            await self._supervisor.restart()
        current = self._supervisor.status.current
        return {"version": current.version if current else "", "generation": current.number if current else None}

    def _overview(self) -> Mapping[str, Any]:
        stage = self._deployer.pipeline.stage
        return overview(
            stage.state,
            stage.on_disk(),
            host=host_name(),
            application=self._settings.root.name,
            running=Running(
                dewy=self._facts(),
                process=self._supervisor.status if self._supervisor else None,
                poll=self._deployer.last_poll,
            ),
        )
