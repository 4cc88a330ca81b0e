"""A real SMTP server (aiosmtpd) that takes mail as it is told to, or misbehaves at a stage of the conversation."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

__all__ = ["Behaviour", "Delivered", "MailServer"]


@dataclass
class Behaviour:
    """How the server is to be; may be changed while it runs.

    Attributes:
        users: Passwords by user name.
        login_needed: Whether it takes mail only after a login.
        mechanisms: By which one can log in; none: AUTH is not offered.
        replies: What it answers, by stage (``MAIL``, ``DATA``, …) or by the address of a recipient, in place of its own.
        stall: The stage at which it falls silent.
        drop: The stage at which it closes the connection.
        drip: Seconds between two bytes of its replies; 0 for none.
        features: Which extensions it offers; None for all it has.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    login_needed: bool = False
    mechanisms: tuple[str, ...] = ("LOGIN", "PLAIN")
    replies: dict[str, str] = field(default_factory=dict)
    stall: str = ""
    drop: str = ""
    drip: float = 0.0
    features: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Delivered:
    """A mail that the server took."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    greeted_as: str
    user: str
    encrypted: bool
    options: tuple[str, ...]

    @property
    def mail(self) -> EmailMessage:
        """As a mail program reads it."""
        return message_from_bytes(self.content, _class=EmailMessage, policy=default)

    def part(self, kind: str) -> str:
        """The text of the part ``plain`` or ``html``."""
        body = self.mail.get_body((kind,))
        assert body is not None
        text = body.get_content()
        assert isinstance(text, str)
        return text


class MailServer:
    """Listens on a free port of a loopback address, in a thread of its own, until the end of the ``with`` block.

    Args:
        behaviour: How it is to be.
        starttls: Its certificate, if it is to offer STARTTLS.
        implicit: Its certificate, if it is to speak TLS from the first byte on.
        host: The address to listen on.
        smtputf8: Whether it takes international addresses.
        size: The largest mail that it takes, in bytes.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        starttls: ssl.SSLContext | None = None,
        implicit: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        smtputf8: bool = True,
        size: int = 1 << 22,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.delivered: list[Delivered] = []
        self.commands: list[str] = []
        """What it was told, in order, by command."""
        self.connections = 0
        self.transports: list[asyncio.WriteTransport] = []
        self.host = host
        self._implicit = implicit
        self._arguments: dict[str, Any] = {
            "tls_context": starttls,
            "require_starttls": False,
            "auth_require_tls": starttls is not None,
            "enable_SMTPUTF8": smtputf8,
            "data_size_limit": size,
            "hostname": "mail.test",
            "authenticator": self._check,
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self.port = 0

    @property
    def address(self) -> str:
        """As a URL has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the mail server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = self._loop.run_until_complete(
            self._loop.create_server(self._connected, self.host, 0, ssl=self._implicit),
        )
        self.port = listening.sockets[0].getsockname()[1]
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        listening.close()
        self._loop.run_until_complete(self._finish())
        self._loop.close()

    async def _finish(self) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for transport in self.transports:
            transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)  # a transport is closed in one of the loop's next rounds

    def _connected(self) -> SMTP:
        self.connections += 1
        return _Conversation(self, **self._arguments, loop=self._loop)

    def _check(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        user, password = data.login.decode(), data.password.decode()
        return AuthResult(success=self.behaviour.users.get(user) == password, handled=False, auth_data=data)


class _Conversation(SMTP):
    """One connection: aiosmtpd's, with the misbehaviour in front of each command."""

    def __init__(self, owner: MailServer, **arguments: Any) -> None:
        self._owner, self._asked = owner, owner.behaviour
        self._mail_options: tuple[str, ...] = ()
        excluded = [name for name in ("LOGIN", "PLAIN") if name not in self._asked.mechanisms]
        super().__init__(self, auth_exclude_mechanism=excluded, **arguments)

    async def _handle_client(self) -> None:
        if not await self._misbehaves("connect"):
            await super()._handle_client()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._owner.transports.append(transport)
        super().connection_made(transport)

    async def push(self, status: str | bytes) -> None:  # type: ignore[override]
        if not self._asked.drip:
            await super().push(status)
            return
        for byte in (status.encode() if isinstance(status, str) else status) + b"\r\n":
            self._writer.write(bytes([byte]))
            await self._writer.drain()
            await asyncio.sleep(self._asked.drip)

    async def _misbehaves(self, stage: str) -> bool:
        """Whether the stage has been dealt with."""
        self._owner.commands.append(stage)
        if self._asked.stall == stage:
            await asyncio.Event().wait()
        if self._asked.drop == stage:
            assert self.transport is not None
            self.transport.close()
            return True
        if stage in self._asked.replies:
            await self.push(self._asked.replies[stage])
            return True
        return False

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802 - aiosmtpd finds it by its name
        if not await self._misbehaves("EHLO"):
            await super().smtp_EHLO(hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds it by its name
        if await self._misbehaves("STARTTLS"):
            return
        if "handshake" in (self._asked.stall, self._asked.drop):
            await self.push("220 go ahead")
            await self._misbehaves("handshake")
            return
        await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds it by its name
        if not await self._misbehaves("AUTH"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it by its name
        if await self._misbehaves("MAIL"):
            return
        if self._asked.login_needed and not (self.session and self.session.authenticated):
            await self.push("530 5.7.0 Authentication required")
            return
        self._mail_options = tuple((arg or "").upper().split()[1:])
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it by its name
        address = (arg or "").partition("<")[2].partition(">")[0]
        if address in self._asked.replies:
            self._owner.commands.append("RCPT")
            await self.push(self._asked.replies[address])
        elif not await self._misbehaves("RCPT"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds it by its name
        if not await self._misbehaves("DATA"):
            await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds it by its name
        if not await self._misbehaves("QUIT"):
            await super().smtp_QUIT(arg)

    # ------------------------------------------------------------------------------------------------ aiosmtpd's hooks

    async def handle_EHLO(  # noqa: N802 - aiosmtpd finds it by its name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        kept = [line for line in responses if self._offers(line[4:].partition(" ")[0])]
        return [*(f"250-{line[4:]}" for line in kept[:-1]), f"250 {kept[-1][4:]}"]

    def _offers(self, feature: str) -> bool:
        if feature == "AUTH":
            return bool(self._asked.mechanisms)
        known = ("SIZE", "8BITMIME", "SMTPUTF8", "STARTTLS")
        return self._asked.features is None or feature not in known or feature in self._asked.features

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd finds it by its name
        if await self._misbehaves("dot"):
            return "250 not seen by the client"
        self._owner.delivered.append(
            Delivered(
                sender=str(envelope.mail_from),
                recipients=tuple(map(str, envelope.rcpt_tos)),
                content=bytes(envelope.original_content or b""),
                greeted_as=str(session.host_name),
                user=session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else "",
                encrypted=session.ssl is not None or self._owner._implicit is not None,
                options=self._mail_options,
            )
        )
        return "250 OK"
