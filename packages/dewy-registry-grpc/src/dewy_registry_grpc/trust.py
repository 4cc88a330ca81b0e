"""Whom TLS believes and what this host shows: the certificates, read from their files.

gRPC for Python believes a list of authorities of its own that is as old as its wheel, and no others; the system's store, to
which administrators add theirs, is not asked. So it is read here, as OpenSSL finds it, and given to gRPC.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dewy.errors import RegistryError
from dewy_registry_grpc.target import Tls

__all__ = ["Certificates", "Stamp", "read_certificates", "stamp_of"]

_GRPC_VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
_SOURCE_LINE = re.compile(r" ?\( ?ssl\.c:[0-9]+\)")
_USUAL_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep their bundle: a Python that was built elsewhere looks in vain where its OpenSSL would."""

Stamp = tuple[object, ...]
"""Differs when one of the files does."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What gRPC is given, PEM.

    Attributes:
        roots: The authorities that are believed; None for gRPC's own list, where the system has none.
        chain: This host's certificate; None when it has none.
        key: Its private key.
    """

    roots: bytes | None
    chain: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


def read_certificates(tls: Tls, environ: Mapping[str, str]) -> Certificates:
    """Reads and checks all of it. Raises RegistryError for what cannot be read or used, with the reason."""
    told = _told_roots(tls, environ)
    if told:
        what, paths = told
        roots = b"\n".join(_read(path, f"the certificates of {what}") for path in paths)
        _check_roots(roots, what)
    else:
        roots = b"\n".join(_system_roots())
    if tls.cert is None or tls.key is None:
        return Certificates(roots or None)
    chain, key = _read(Path(tls.cert), "the certificate of cert="), _read(Path(tls.key), "the private key of key=")
    _check_pair(tls.cert, tls.key)
    return Certificates(roots or None, chain, key)


def stamp_of(tls: Tls, environ: Mapping[str, str]) -> Stamp:
    """Which state the files are in: short-lived certificates are renewed while dewy runs."""
    told = _told_roots(tls, environ)
    paths = [*(told[1] if told else _system_files()), *(Path(name) for name in (tls.cert, tls.key) if name)]
    return tuple(_stamp(path) for path in paths)


# ---------------------------------------------------------------------------------------------------------- authorities


def _told_roots(tls: Tls, environ: Mapping[str, str]) -> tuple[str, list[Path]] | None:
    """What the user said about whom to believe, and the files that it means; None if nothing was said."""
    if tls.ca:
        return f"ca={tls.ca}", [Path(tls.ca)]
    if name := environ.get(_GRPC_VARIABLE):
        return f"{_GRPC_VARIABLE}={name}", [Path(name)]
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    said = [f"{key}={value}" for key, value in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)) if value]
    if not said:
        return None
    folders = (folder or "").split(":")
    return " ".join(said), [*([Path(file)] if file else []), *_files_in(Path(each) for each in folders if each)]


def _system_files() -> Iterator[Path]:
    """The system's bundle; where there is none, the files of its directory."""
    usual = ssl.get_default_verify_paths()
    for path in map(Path, (usual.openssl_cafile, *_USUAL_FILES)):
        if path.is_file():
            yield path
            return
    yield from _files_in([Path(usual.openssl_capath)])


def _system_roots() -> Iterator[bytes]:
    for path in _system_files():
        try:
            yield path.read_bytes()
        except OSError:  # of the system's many files one may be private or gone: the others count
            continue


def _files_in(folders: Iterable[Path]) -> list[Path]:
    """The certificates in directories, each once: most have a second name, a link that is its hash."""
    found: dict[Path, None] = {}
    for folder in folders:
        try:
            found |= dict.fromkeys(path.resolve() for path in sorted(folder.iterdir()) if path.is_file())
        except OSError:  # OpenSSL passes over a directory that is not there, too
            continue
    return list(found)


def _check_roots(roots: bytes, what: str) -> None:
    hint = "It takes a file of certificates in PEM form: -----BEGIN CERTIFICATE-----"
    try:
        # comments between the certificates may be in any encoding
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=roots.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise RegistryError(f"the certificates of {what} cannot be used: {_reason(error)}", hint) from None


# ------------------------------------------------------------------------------------------------------------- this host


def _check_pair(cert: str, key: str) -> None:
    """Has OpenSSL say what is wrong with a certificate and its key: gRPC only says that no connection came about."""
    try:
        # an encrypted key must fail here, not ask for its password on the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"the certificate of cert={cert} cannot be used with the private key of key=: {_reason(error)}",
            "Both are PEM files, the key belongs to the first certificate and is not encrypted",
        ) from None


def _read(path: Path, what: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RegistryError(
            f"{what} cannot be read: {error.strerror or error}", "Check the path, and which user dewy runs as"
        ) from error
    return content


def _stamp(path: Path) -> tuple[object, ...]:
    try:
        state = path.stat()
    except OSError as error:
        return (path, error.errno)
    return (path, state.st_mtime_ns, state.st_size, state.st_ino)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return _SOURCE_LINE.sub("", " ".join(str(reason).lower().replace("_", " ").split()))
