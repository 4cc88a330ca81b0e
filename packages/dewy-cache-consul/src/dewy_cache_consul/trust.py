"""Whom TLS believes and what this host shows. Certificates in Consul's world live for days: renewed files are taken up."""

from __future__ import annotations

import re
import ssl
import threading
from pathlib import Path

from dewy.errors import CacheError
from dewy_cache_consul.agent import Tls

__all__ = ["Stamp", "Trust"]

Stamp = tuple[object, ...]
"""Differs when one of the files does."""

_SOURCE_LINE = re.compile(r" ?\( ?_ssl\.c:[0-9]+\)")


class Trust:
    """The certificates of one agent's URL, read when they are needed.

    Args:
        tls: Which files.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._read: tuple[Stamp, ssl.SSLContext] | None = None

    def stamp(self) -> Stamp:
        """Which state the files are in."""
        return tuple(_stamp(name) for name in (self._tls.ca, self._tls.cert, self._tls.key) if name)

    def context(self) -> ssl.SSLContext:
        """For a new connection. Raises CacheError for a file that cannot be read or used."""
        stamp = self.stamp()
        with self._lock:
            if self._read is None or self._read[0] != stamp:
                self._read = (stamp, self._new())
            return self._read[1]

    def _new(self) -> ssl.SSLContext:
        tls = self._tls
        try:
            context = ssl.create_default_context(cafile=tls.ca or None, capath=tls.folder or None)
        except (OSError, ValueError) as error:
            raise CacheError(
                f"the certificates in {tls.ca or tls.folder} cannot be used for Consul: {_reason(error)}",
                "It takes a file of certificates in PEM form that dewy may read: ca, or CONSUL_CACERT",
            ) from None
        if tls.cert:
            try:
                # an encrypted key must fail here, not ask for its password on the terminal
                context.load_cert_chain(tls.cert, tls.key, password="")
            except (OSError, ValueError) as error:
                raise CacheError(
                    f"the certificate {tls.cert} cannot be used with its private key for Consul: {_reason(error)}",
                    "Both are PEM files that dewy may read, the key belongs to the certificate and is not encrypted",
                ) from None
        return context


def _stamp(name: str) -> tuple[object, ...]:
    try:
        state = Path(name).stat()
    except OSError as error:  # what is wrong with it is told when it is read
        return (name, error.errno)
    return (name, state.st_mtime_ns, state.st_size, state.st_ino)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return _SOURCE_LINE.sub("", " ".join(str(reason).lower().replace("_", " ").split()))
