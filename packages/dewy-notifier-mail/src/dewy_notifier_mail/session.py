"""One conversation with a mail server (RFC 5321), from the connection to its word that it has taken the mail."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from dewy_notifier_mail.account import Account, Login, Tls
from dewy_notifier_mail.addresses import ascii_domain
from dewy_notifier_mail.faults import Refusals, Stage, Unable, fault_of
from dewy_notifier_mail.watch import Watch, connect

__all__ = ["LIMITS", "Limits", "deliver"]

_MOST_REPLIES = 1 << 20
_OK, _OK_ELSEWHERE, _READY, _CHALLENGE, _LOGGED_IN, _CLOSING = 250, 251, 220, 334, 235, 421


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a mail may take, in seconds.

    Attributes:
        connect: For one of the server's addresses.
        silence: Without a byte from the server.
        whole: For everything but looking up the server's address.
        farewell: For the server's answer to QUIT.
    """

    connect: float = 5.0
    silence: float = 30.0
    whole: float = 60.0
    farewell: float = 2.0


LIMITS = Limits()


def deliver(
    account: Account, trust: ssl.SSLContext | None, mail: bytes, recipients: Sequence[str], limits: Limits
) -> Refusals:
    """Hands one mail to the server over a connection of its own.

    Args:
        account: Which server, as whom.
        trust: What TLS works with; None for the system's authorities.
        mail: Its lines end with CR LF.
        recipients: Their addresses.
        limits: How long it may take.

    Returns:
        The recipients that the server does not take, with its answers; it has taken the mail for the others.

    Raises:
        NotifierError: The mail was handed over for nobody.
    """
    session = _Session(account, trust, limits)
    try:
        with session:
            refused = session.deliver(mail, recipients)
            session.quit()
            return refused
    except (OSError, Unable) as error:  # smtplib's errors are OSErrors
        raise fault_of(error, session.stage, account, out_of_time=limits.whole if session.cut else None) from error


class _Replies:
    """What the server says, for smtplib: as much as a conversation can need. An endless reply must not fill the memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, _MOST_REPLIES

    def readline(self, most: int) -> bytes:
        line = self._file.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("the server talks without end")
        return line

    def close(self) -> None:
        self._file.close()


class _Session:
    """What ``deliver`` does, step by step; ``stage`` tells where it is."""

    def __init__(self, account: Account, trust: ssl.SSLContext | None, limits: Limits) -> None:
        self._account, self._server, self._trust, self._limits = account, account.server, trust, limits
        self._client = smtplib.SMTP(local_hostname="localhost", timeout=limits.silence)
        self._watch: Watch | None = None
        self._open = ExitStack()
        self.stage = Stage.CONNECTING

    @property
    def cut(self) -> bool:
        """Whether the deadline for the whole has passed."""
        return self._watch is not None and self._watch.cut

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._open.close()

    def deliver(self, mail: bytes, recipients: Sequence[str]) -> Refusals:
        self._connect()
        if self._server.tls is Tls.IMPLICIT:
            self._secure()
        self._greet()
        if self._server.tls is Tls.STARTTLS:
            self._start_tls()
        if self._account.login:
            self._log_in(self._account.login)
        self._name_sender(len(mail))
        refused = self._name_recipients(recipients)
        self._hand_over(mail)
        return refused

    def quit(self) -> None:
        """Says good-bye. The server has the mail: whatever it answers is no failure."""
        try:
            self._socket.settimeout(self._limits.farewell)
            self._client.docmd("QUIT")
        except OSError:
            return

    # -------------------------------------------------------------------------------------------------- the connection

    def _connect(self) -> None:
        deadline = time.monotonic() + self._limits.whole
        connection = connect(self._server.host, self._server.port, self._limits.connect, deadline)
        self._use(connection)
        self._watch = self._open.enter_context(Watch(connection, deadline))
        connection.settimeout(self._limits.silence)

    @property
    def _socket(self) -> socket.socket:
        """What smtplib talks through; it drops it when the connection fails."""
        if self._client.sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        return self._client.sock

    def _use(self, connection: socket.socket) -> None:
        """What was read ahead of the old connection is forgotten: in the clear, anybody may have said it."""
        self._client.sock = connection
        self._client.file = _Replies(connection.makefile("rb"))

    def _secure(self) -> None:
        self.stage = Stage.SECURING
        trust = self._trust or ssl.create_default_context()
        self._use(trust.wrap_socket(self._socket, server_hostname=self._server.host))

    # ------------------------------------------------------------------------------------------------------- greetings

    def _greet(self) -> None:
        self.stage = Stage.GREETING
        _expect(self._client.getreply(), _READY)
        self._client.local_hostname = self._own_name()
        self.stage = Stage.HELLO
        self._client.ehlo_or_helo_if_needed()

    def _own_name(self) -> str:
        """What EHLO says: this host's full name, else its address (RFC 5321, 4.1.3). No look-up: that may take long."""
        name = socket.gethostname()
        try:
            if "." in name:
                return ascii_domain(name)
        except ValueError:  # a host may be called what no domain can be
            pass
        address = str(self._socket.getsockname()[0])
        return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"

    def _start_tls(self) -> None:
        """STARTTLS (RFC 3207), or an error: whoever sits in between could have taken it out of the server's offer."""
        self.stage = Stage.STARTTLS
        if not self._client.has_extn("starttls"):
            raise Unable("does not offer STARTTLS")
        _expect(self._client.docmd("STARTTLS"), _READY)
        self._secure()
        self.stage = Stage.HELLO
        _expect(self._client.ehlo(), _OK)

    # ----------------------------------------------------------------------------------------------------------- login

    def _log_in(self, login: Login) -> None:
        """AUTH (RFC 4954) by PLAIN or LOGIN, in UTF-8; smtplib's own takes ASCII alone."""
        self.stage = Stage.LOGIN
        offered = self._client.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            reply = self._client.docmd("AUTH", f"PLAIN {login.plain}")
        elif "LOGIN" in offered:
            reply = _expect(self._client.docmd("AUTH", "LOGIN"), _CHALLENGE)
            reply = _expect(self._client.docmd(_base64(login.username)), _CHALLENGE)
            reply = self._client.docmd(_base64(login.password))
        elif self._server.tls is Tls.NONE and not offered:
            return  # a relay on this host, which takes mail as it is
        else:
            raise Unable(f"offers no login that dewy knows (only {' '.join(offered)})" if offered else "offers no login")
        _expect(reply, _LOGGED_IN)

    # ---------------------------------------------------------------------------------------------------------- a mail

    def _name_sender(self, size: int) -> None:
        self.stage = Stage.SENDER
        options = [f"SIZE={size}"] if self._client.has_extn("size") else []
        if self._account.international:
            if not self._client.has_extn("smtputf8"):
                raise Unable("does not offer SMTPUTF8, without which addresses are ASCII")
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        _expect(self._client.mail(self._account.sender.addr_spec, options), _OK)

    def _name_recipients(self, recipients: Sequence[str]) -> Refusals:
        self.stage = Stage.RECIPIENTS
        refused: Refusals = {}
        for recipient in recipients:
            reply = self._client.rcpt(recipient)
            if reply[0] == _CLOSING:
                raise smtplib.SMTPResponseException(*reply)
            if reply[0] not in (_OK, _OK_ELSEWHERE):
                refused[recipient] = reply
        if len(refused) == len(recipients):
            raise smtplib.SMTPRecipientsRefused(refused)
        return refused

    def _hand_over(self, mail: bytes) -> None:
        self.stage = Stage.CONTENT
        _expect(self._client.data(mail), _OK)


def _expect(reply: tuple[int, bytes], code: int) -> tuple[int, bytes]:
    if reply[0] != code:
        raise smtplib.SMTPResponseException(*reply)
    return reply


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
