"""SDK clients, shared: a registry and the artifacts it names ask over the same connections.

So a dewy that runs for months makes one client, not one per deployment.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from dewy.errors import DewyError
from dewy.objectstore.faults import Fault, ObjectStoreError

__all__ = ["Clients"]

A = TypeVar("A", bound=Hashable)
C = TypeVar("C")

_MOST = 8
"""Clients that are kept: a registry that answers with ever other stores must not fill the memory."""


class Clients(Generic[A, C]):
    """The process's clients of one SDK, by all that makes one differ from another. Used from several threads.

    Args:
        explain: What an exception of the SDK means.
    """

    def __init__(self, explain: Callable[[Exception], Fault]) -> None:
        self._explain = explain
        self._lock = threading.Lock()
        self._clients: OrderedDict[A, C] = OrderedDict()

    @contextmanager
    def lend(self, access: A, make: Callable[[], C]) -> Iterator[C]:
        """A client, for the requests of one block.

        Whatever the block raises, SDKs raise more than they document, comes out as :class:`ObjectStoreError`, but for that
        itself and errors of dewy's own. Where other credentials may help, the next block has a new client: they may have
        been renewed.

        Args:
            access: Which client: the service, its address, as whom.
            make: Makes it if need be, which may ask this host's metadata service for credentials.
        """
        try:
            yield self._get(access, make)
        except (DewyError, ObjectStoreError):
            raise
        except Exception as error:
            fault = self._explain(error)
            if fault.credentials:
                with self._lock:
                    self._clients.pop(access, None)
            raise ObjectStoreError(fault) from error

    def _get(self, access: A, make: Callable[[], C]) -> C:
        with self._lock:
            if (known := self._clients.get(access)) is not None:
                self._clients.move_to_end(access)
                return known
        made = make()  # not under the lock: whoever hangs here must not make others hang
        with self._lock:
            client = self._clients.setdefault(access, made)
            while len(self._clients) > _MOST:
                self._clients.popitem(last=False)  # the one that was not used for longest
            return client
