"""Which server is the master, as Sentinels know it."""

from __future__ import annotations

from redis.exceptions import RedisError

from dewy_cache_redis.bounds import within
from dewy_cache_redis.faults import Fault, Unusable, fault_of
from dewy_cache_redis.links import Link, TcpLink, ask, link_arguments
from dewy_cache_redis.target import Target, address_of

__all__ = ["Sentinels"]

_EACH = 1.5
"""Seconds for one Sentinel: they are asked one after the other, within the time of one call."""


class Sentinels:
    """The Sentinels of one service. Asked before each connecting; safe to use from all threads.

    Args:
        target: Has their addresses, the service, and how they are asked.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._last: tuple[str, int] | None = None

    def master(self) -> tuple[str, int]:
        """Host and port of the master. The Sentinel that last knew is asked first. Raises Unusable."""
        said: list[str] = []
        hint = "Check the addresses of the Sentinels in the cache URL, and that they run"
        for host, port in sorted(self._target.hosts, key=lambda address: address != self._last):
            try:
                with within(_EACH):
                    found = self._ask(host, port)
            except (RedisError, OSError) as error:
                fault = fault_of(error)
                said.append(f"{address_of(host, port)}: {fault.reason}")
                continue
            if found:
                self._last = (host, port)
                return found
            said.append(f"{address_of(host, port)}: it knows no service of that name")
            hint = (
                "Check the service's name in the cache URL: it is that of sentinel monitor in the Sentinels' configuration"
            )
        raise Unusable(Fault(f"no Sentinel says where {self._target.service!r} is ({'; '.join(said)})", hint))

    def _ask(self, host: str, port: int) -> tuple[str, int] | None:
        """What one Sentinel says; None when it does not know the service."""
        arguments = link_arguments(self._target.sentinel_account)
        link: Link = TcpLink(host=host, port=port, tls=self._target.tls, **arguments)
        try:
            link.connect()
            answer = ask(link, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._target.service)
        finally:
            link.disconnect()
        if answer is None:
            return None
        try:
            found, number = (bytes(part).decode("ascii") for part in answer)
            return found, int(number)
        except (TypeError, ValueError):
            raise Unusable(Fault("it is no Sentinel")) from None
