"""The one place that makes clients of Google Cloud Storage: whose credentials, which address, how long anything may take.

Clients are shared: a registry and the artifacts it names ask over the same connections, and a dewy that runs for months
makes one client, not one per deployment.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dewy.errors import DewyError
from dewy_registry_gs.location import Store

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials

    from dewy.types import Context

__all__ = ["Access", "Connection"]

_MOST_CLIENTS = 8

Client = Any
"""A ``google.cloud.storage.Client``, whose distribution has no types."""


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that makes one client differ from another.

    What is empty here is found as application default credentials are: gcloud's file, the instance's metadata.

    Attributes:
        store: The service.
        credentials_file: ``GOOGLE_APPLICATION_CREDENTIALS``: a key, or how to get one.
        quota_project: ``GOOGLE_CLOUD_QUOTA_PROJECT``: whom requests are charged to, where the bucket wants to know.
        connect_seconds: How long connecting may take.
        read_seconds: How long the store may be silent. Less than the core waits for a sign of life, so that a stalled
            download is taken up again before it is given up.
        retry_seconds: For how long a failed request is made again. Polls and downloads are tried again by those who know
            how long that makes sense.
    """

    store: Store
    credentials_file: str = ""
    quota_project: str = ""
    connect_seconds: float = 5.0
    read_seconds: float = 15.0
    retry_seconds: float = 2.0

    @classmethod
    def from_environ(cls, store: Store, environ: Mapping[str, str]) -> Access:
        """What the environment says."""
        return cls(
            store,
            credentials_file=environ.get("GOOGLE_APPLICATION_CREDENTIALS", ""),
            quota_project=environ.get("GOOGLE_CLOUD_QUOTA_PROJECT", ""),
        )


class Connection:
    """A way to the store.

    Args:
        access: Which, and as whom.
    """

    def __init__(self, access: Access) -> None:
        self.access = access

    @classmethod
    def of(cls, store: Store, context: Context) -> Connection:
        """By what the environment says."""
        return cls(Access.from_environ(store, context.environ))

    @property
    def timeout(self) -> tuple[float, float]:
        """For every request: seconds to connect, seconds of silence."""
        return self.access.connect_seconds, self.access.read_seconds

    @property
    def retry(self) -> Retry:
        """For requests that do no harm if they are made twice: what may pass by itself is tried again, with jitter."""
        from google.api_core.retry import Retry

        from dewy_registry_gs.faults import is_passing

        return Retry(predicate=is_passing, initial=0.25, maximum=1.0, timeout=self.access.retry_seconds)

    @contextmanager
    def client(self, kind: type[DewyError], doing: str) -> Iterator[Client]:
        """The client, for the requests of one block.

        Args:
            kind: What is raised when anything in the block fails, but for errors of dewy's own, which stay as they are.
            doing: What the block does, for the error's text: "listing the versions in …".
        """
        try:
            yield _CLIENTS.get(self.access)
        except DewyError:
            raise
        except Exception as error:  # SDKs raise more than they document; here all of it becomes a sentence
            from dewy_registry_gs.faults import fault_of

            fault = fault_of(error)
            if fault.credentials:
                _CLIENTS.forget(self.access)  # the next call looks for them anew: they may have been renewed
            raise kind(f"{doing} failed: {fault.reason}", fault.hint) from error


class _Clients:
    """The process's clients, the least recently used one first. Used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[Access, Client] = OrderedDict()

    def get(self, access: Access) -> Client:
        """The client for this access; makes it if need be, which may ask the host's metadata service for credentials."""
        with self._lock:
            if client := self._clients.get(access):
                self._clients.move_to_end(access)
                return client
        made = _make(access)  # not under the lock: whoever hangs here must not make others hang
        with self._lock:
            client = self._clients.setdefault(access, made)
            while len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
            return client

    def forget(self, access: Access) -> None:
        """Has the next :meth:`get` make a new one."""
        with self._lock:
            self._clients.pop(access, None)


_CLIENTS = _Clients()


def _make(access: Access) -> Client:
    from google.cloud import storage  # type: ignore[import-untyped]

    options = {"api_endpoint": access.store.emulator} if access.store.emulator else None
    # No project is needed to read and write objects; the SDK would search for one.
    client = storage.Client(project=None, credentials=_credentials(access), client_options=options)
    # For traces, whether there are any or not, newer SDKs ask what the bucket itself is like: in a thread of their own,
    # again and again while the store is down, and with a right that dewy does not need.
    client._bucket_metadata_cache = None
    return client


def _credentials(access: Access) -> Credentials:
    """Application default credentials (Google's term), which the SDK finds; it renews them by itself.

    The file is named here, by the environment that dewy lends; the rest of the search is the SDK's own.
    """
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    if access.store.anonymous or access.store.emulator:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    quota = access.quota_project or None
    if not access.credentials_file:
        found, _ = google.auth.default(quota_project_id=quota)
    else:
        with warnings.catch_warnings():
            # Of files from strangers: this one is the operator's own, and may be of any kind, as for Google's own tools.
            warnings.simplefilter("ignore", DeprecationWarning)
            found, _ = google.auth.load_credentials_from_file(  # type: ignore[no-untyped-call]
                access.credentials_file, quota_project_id=quota
            )
    return found
