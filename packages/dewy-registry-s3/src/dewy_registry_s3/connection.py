"""The one place that makes S3 clients: whose credentials, which address, how long anything may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dewy.objectstore import Clients, Fault
from dewy_registry_s3.location import Store

if TYPE_CHECKING:
    import boto3.session
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client

    from dewy.types import Context

__all__ = ["Access", "Connection"]

_TRIES = 2
"""Of one request, by the SDK. Polls and downloads are tried again by those who know how long that makes sense."""


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that makes one client differ from another.

    What is empty here is found by the SDK's own credential chain: profiles, roles, the instance's metadata.

    Attributes:
        store: The service.
        access_key: ``AWS_ACCESS_KEY_ID``.
        secret_key: ``AWS_SECRET_ACCESS_KEY``.
        session_token: ``AWS_SESSION_TOKEN``.
        profile: ``AWS_PROFILE``.
        config_file: ``AWS_CONFIG_FILE``.
        credentials_file: ``AWS_SHARED_CREDENTIALS_FILE``.
        ca_bundle: ``AWS_CA_BUNDLE``: the certificate authorities that are believed.
        connect_seconds: How long connecting may take.
        read_seconds: How long the store may be silent. Less than the core waits for a sign of life, so that a stalled
            download is taken up again before it is given up.
    """

    store: Store
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    profile: str = ""
    config_file: str = ""
    credentials_file: str = ""
    ca_bundle: str = ""
    connect_seconds: float = 5.0
    read_seconds: float = 15.0

    @classmethod
    def from_environ(cls, store: Store, environ: Mapping[str, str]) -> Access:
        """What the environment says."""
        return cls(
            store,
            access_key=environ.get("AWS_ACCESS_KEY_ID", ""),
            secret_key=environ.get("AWS_SECRET_ACCESS_KEY", ""),
            session_token=environ.get("AWS_SESSION_TOKEN", ""),
            profile=environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE", ""),
            config_file=environ.get("AWS_CONFIG_FILE", ""),
            credentials_file=environ.get("AWS_SHARED_CREDENTIALS_FILE", ""),
            ca_bundle=environ.get("AWS_CA_BUNDLE", ""),
        )


class Connection:
    """A way to one S3 service.

    Args:
        access: Which, and as whom.
        secret: Is told what must never be shown; see :meth:`dewy.types.Context.secret`.
    """

    def __init__(self, access: Access, secret: Callable[[str], str]) -> None:
        self.access = access
        self._secret = secret

    @classmethod
    def of(cls, store: Store, context: Context) -> Connection:
        """By what the environment says."""
        access = Access.from_environ(store, context.environ)
        for value in (access.secret_key, access.session_token):
            if value:
                context.secret(value)
        return cls(access, context.secret)

    def client(self) -> AbstractContextManager[S3Client]:
        """The client, for the requests of one block; see :meth:`dewy.objectstore.Clients.lend`."""
        return _CLIENTS.lend(self.access, lambda: _make(self.access, self._secret))


def _explain(error: Exception) -> Fault:
    from dewy_registry_s3.faults import fault_of

    return fault_of(error)


_CLIENTS: Clients[Access, S3Client] = Clients(_explain)


def _make(access: Access, secret: Callable[[str], str]) -> S3Client:
    session = _session(access)
    if not access.store.anonymous:
        from botocore.exceptions import NoCredentialsError

        credentials = session.get_credentials()
        if credentials is None:  # a client made now would never look again
            raise NoCredentialsError
        found = credentials.get_frozen_credentials()
        for value in (found.secret_key, found.token):
            if value:
                secret(value)
    return session.client("s3", endpoint_url=access.store.endpoint, verify=access.ca_bundle or None, config=_config(access))


def _session(access: Access) -> boto3.session.Session:
    import boto3.session
    import botocore.session

    core = botocore.session.Session()
    for variable, value in (("config_file", access.config_file), ("credentials_file", access.credentials_file)):
        if value:
            core.set_config_variable(variable, value)
    if access.profile and not access.access_key:
        core.set_config_variable("profile", access.profile)
    # The environment's keys are given below, from the environment that dewy lends: not from the process's own.
    core.get_component("credential_provider").remove("env")
    return boto3.session.Session(
        aws_access_key_id=access.access_key or None,
        aws_secret_access_key=access.secret_key or None,
        aws_session_token=access.session_token or None,
        region_name=access.store.region,
        botocore_session=core,
    )


def _config(access: Access) -> Config:
    from botocore import UNSIGNED
    from botocore.config import Config

    return Config(
        connect_timeout=access.connect_seconds,
        read_timeout=access.read_seconds,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        tcp_keepalive=True,
        # Compatible stores need not know the checksums that newer SDKs send and ask for unasked.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if access.store.endpoint else None,
        signature_version=UNSIGNED if access.store.anonymous else None,
    )
