"""Whose certificates are believed."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from dewy.errors import UsageError
from dewy_notifier_mail.account import Account, Tls

__all__ = ["trust_of"]


def trust_of(account: Account, environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """What TLS works with: certificate and host name are checked, always. None without TLS.

    Args:
        account: Its ``ca`` is trusted in place of the system's authorities.
        environ: ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` count where the account has no ``ca``.

    Raises:
        UsageError: The file cannot be read, or has no certificate.
    """
    if account.server.tls is Tls.NONE:
        return None
    file, folder, said = account.ca, None, f"ca={account.ca}"
    if not account.ca:
        file, folder = environ.get("SSL_CERT_FILE") or None, environ.get("SSL_CERT_DIR") or None
        said = f"SSL_CERT_FILE={file or ''} SSL_CERT_DIR={folder or ''}"
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise UsageError(f"the certificates of {said} cannot be read: {why}", "Name a PEM file with certificates") from error
