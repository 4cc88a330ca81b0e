"""The one place that makes clients of Google Cloud Storage: whose credentials, which address, how long anything may take."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dewy.objectstore import Clients, Fault
from dewy_registry_gs.location import Store

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials

    from dewy.types import Context

__all__ = ["Access", "Connection"]

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

    def client(self) -> AbstractContextManager[Client]:
        """The client, for the requests of one block; see :meth:`dewy.objectstore.Clients.lend`."""
        return _CLIENTS.lend(self.access, lambda: _make(self.access))


def _explain(error: Exception) -> Fault:
    from dewy_registry_gs.faults import fault_of

    return fault_of(error)


_CLIENTS: Clients[Access, Client] = Clients(_explain)


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
