"""Which server, as whom, to whom: what a ``mail://`` URL and the environment say. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from enum import Enum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from dewy.errors import UsageError
from dewy.urls import HIDDEN
from dewy_notifier_mail.addresses import CONTROL, addresses_of, host_of

if TYPE_CHECKING:
    from dewy.urls import BackendURL

__all__ = ["Account", "Login", "Server", "Tls", "account_of"]

_FORM = "The form is mail://HOST[:PORT]/RECIPIENT[,RECIPIENT…], as in mail://smtp.example.com/ops@example.com"
_PORT = 587
_IMPLICIT_PORT = 465
_MOST_RECIPIENTS = 100  # what a server must take at once (RFC 5321, 4.5.3.1.8)


class Tls(Enum):
    """How the connection is protected."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "false"


_TLS_WORDS = {
    "starttls": Tls.STARTTLS,
    "implicit": Tls.IMPLICIT,
    **dict.fromkeys(("false", "0", "no", "off"), Tls.NONE),
}
_TLS_BY_PORT = frozenset({"true", "1", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server. ``str`` shows it to people: ``smtp.example.com:587``.

    Attributes:
        host: A name as DNS has it, or an IP address without brackets.
        port: Of TCP.
        tls: How the connection is protected.
    """

    host: str
    port: int
    tls: Tls

    @property
    def local(self) -> bool:
        """Whether it is on this host, so that nobody else sees what is sent to it."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password. Neither is shown."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def plain(self) -> str:
        """What the mechanism PLAIN sends (RFC 4616), in base64."""
        return b64encode(f"\0{self.username}\0{self.password}".encode()).decode()

    def hide(self, text: str) -> str:
        """The text without the password in any form in which it is sent: a server may send back what it was sent."""
        for secret in (self.plain, b64encode(self.password.encode()).decode(), self.password):
            text = text.replace(secret, HIDDEN)
        return text


@dataclass(frozen=True, slots=True)
class Account:
    """Where mails go, and as whom.

    Attributes:
        server: Which takes them.
        login: None to send without authentication.
        sender: Of the header and of the envelope.
        recipients: At least one; each once.
        subject: What every subject starts with, or empty.
        ca: A file with the authorities to trust in place of the system's, or None.
    """

    server: Server
    login: Login | None
    sender: Address
    recipients: tuple[Address, ...]
    subject: str
    ca: str | None = None

    @property
    def international(self) -> bool:
        """Whether an address is not ASCII, for which the server must have SMTPUTF8 (RFC 6531)."""
        return not all(address.addr_spec.isascii() for address in (self.sender, *self.recipients))

    def hide(self, text: str) -> str:
        """The text without the password."""
        return self.login.hide(text) if self.login else text


def account_of(url: BackendURL, environ: Mapping[str, str]) -> Account:
    """The account that a notifier URL names, with ``MAIL_USERNAME``, ``MAIL_PASSWORD`` and ``MAIL_FROM``.

    Raises:
        UsageError: Something is missing, is no address, or would send a password in the clear to another host.
    """
    server = _server(url)
    username = _told(url, "username", url.username, environ)
    login = _login(url, username, _told(url, "password", url.password, environ))
    if login and server.tls is Tls.NONE and not server.local:
        raise UsageError(
            f"{_shown(url)} would send the password in the clear, for {server} is another host and TLS is off",
            "Leave out tls=false; or, if the server needs no login, the password (also MAIL_PASSWORD)",
        )
    ca = url.text("ca")
    if ca and server.tls is Tls.NONE:
        raise UsageError(f"{_shown(url)} has a certificate for TLS and tls=false", "Leave out one of them")
    return Account(
        server=server,
        login=login,
        sender=_sender(url, environ, username),
        recipients=_recipients(url),
        subject=_clean(url, "option 'subject'", url.text("subject") or "").strip(),
        ca=ca and _clean(url, "option 'ca'", ca),
    )


# ---------------------------------------------------------------------------------------------------------- the server


def _server(url: BackendURL) -> Server:
    if len(url.hosts) > 1:
        raise UsageError(f"{_shown(url)} names several servers", _FORM)
    if not url.host:
        raise UsageError(f"{_shown(url)} names no server", _FORM)
    try:
        host = host_of(url.host)
    except ValueError:
        raise UsageError(f"{url.host!r} in {_shown(url)} is not a host", _FORM) from None
    if url.port == 0:
        raise UsageError(f"{_shown(url)} has the port 0, at which nobody answers", _FORM)
    port = url.port or _PORT
    return Server(host, port, _tls(url, port))


def _tls(url: BackendURL, port: int) -> Tls:
    word = (url.text("tls") or "true").lower()
    if word in _TLS_BY_PORT:
        return Tls.IMPLICIT if port == _IMPLICIT_PORT else Tls.STARTTLS
    if word in _TLS_WORDS:
        return _TLS_WORDS[word]
    raise UsageError(
        f"option 'tls' in {_shown(url)} is {word!r}",
        "It takes true (implicit TLS on port 465, else STARTTLS), starttls, implicit, or false for a local relay",
    )


# ----------------------------------------------------------------------------------------------------------- as whom


def _told(url: BackendURL, option: str, before_the_host: str, environ: Mapping[str, str]) -> str:
    """The user name or the password: from the option or from before the host, else from the environment."""
    told = url.text(option)
    if told and before_the_host:
        raise UsageError(f"{_shown(url)} has two of {option!r}", "Give it before the host or as the option")
    if value := told or before_the_host:
        return _clean(url, f"the {option}", value)
    variable = f"MAIL_{option.upper()}"
    value = environ.get(variable, "")
    if CONTROL.search(value):
        raise UsageError(f"{variable} has a line end or another control character in it", "Set it without")
    return value


def _login(url: BackendURL, username: str, password: str) -> Login | None:
    """None without a password: a user name alone is only the sender's address (R50)."""
    if password and not username:
        raise UsageError(
            f"{_shown(url)} has a password (or MAIL_PASSWORD is set) and no user name",
            "Set username= or MAIL_USERNAME",
        )
    return Login(username, password) if password else None


def _sender(url: BackendURL, environ: Mapping[str, str], username: str) -> Address:
    places = (
        (url.text("from"), f"option 'from' in {_shown(url)}"),
        (environ.get("MAIL_FROM"), "MAIL_FROM"),
        (username if "@" in username else "", f"the user name for {_shown(url)}, which is also the sender,"),
    )
    for text, where in places:
        if text:
            return _one_address(text, where)
    raise UsageError(f"{_shown(url)} says not from whom", "Set from= or MAIL_FROM, as in from=dewy@example.com")


def _one_address(text: str, where: str) -> Address:
    addresses = _addresses(text, where)
    if len(addresses) != 1:
        raise UsageError(f"{where} is {text!r}, which is not one mail address", "There is one sender")
    return addresses[0]


# ------------------------------------------------------------------------------------------------------------ to whom


def _recipients(url: BackendURL) -> tuple[Address, ...]:
    found = (
        *_addresses(url.path.strip("/"), f"the path of {_shown(url)}"),
        *_addresses(url.text("to") or "", f"option 'to' in {_shown(url)}"),
    )
    recipients: dict[str, Address] = {}
    for address in found:
        recipients.setdefault(address.addr_spec, address)
    if not recipients:
        raise UsageError(f"{_shown(url)} has no recipient", f"{_FORM}; more of them with to=")
    if len(recipients) > _MOST_RECIPIENTS:
        raise UsageError(
            f"{_shown(url)} has {len(recipients)} recipients", f"At most {_MOST_RECIPIENTS}: use a mailing list"
        )
    return tuple(recipients.values())


def _addresses(text: str, where: str) -> tuple[Address, ...]:
    try:
        return addresses_of(text)
    except ValueError as error:
        raise UsageError(
            f"{where} is wrong: {error}", "An address is ops@example.com or Operations <ops@example.com>"
        ) from None


def _shown(url: BackendURL) -> str:
    """The URL for an error text, without its secrets and on one line."""
    return f"the notifier URL {CONTROL.sub('?', str(url))}"


def _clean(url: BackendURL, what: str, value: str) -> str:
    if CONTROL.search(value):
        raise UsageError(f"{what} in {_shown(url)} has a line end or another control character in it", "Leave it out")
    return value
