"""From a message to the bytes of a mail (RFC 5322, MIME). Pure: the same message makes the same mail."""

from __future__ import annotations

from datetime import UTC
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import quote
from hashlib import sha256

from dewy.types import Message
from dewy_notifier_mail.account import Account
from dewy_notifier_mail.cleaning import one_line
from dewy_notifier_mail.rendering import render

__all__ = ["compose"]

_MOST_HEADER = 200
_IDENTIFIERS = frozenset({"Message-ID", "In-Reply-To", "References"})


class _Policy(EmailPolicy):
    """Headers that any server takes: ASCII, unless the server is told of UTF-8 (RFC 6532).

    EmailPolicy's own way with long headers loses and adds blanks between encoded words, and encodes identifiers that are
    longer than a line, which then match nothing. ``email.header``, its elder, splits words as it should.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """One header with its line ends."""
        addresses: tuple[Address, ...] = getattr(value, "addresses", ())
        if addresses:
            text = f",{self.linesep} ".join(self._mailbox(address) for address in addresses)
        elif name in _IDENTIFIERS:
            text = value
        elif self.utf8 or value.isascii():
            return super().fold_binary(name, value)
        else:
            text = self._encoded(value, name)
        return f"{name}: {text}{self.linesep}".encode()

    def _mailbox(self, address: Address) -> str:
        name = address.display_name
        if not name:
            return address.addr_spec
        shown = f'"{quote(name)}"' if self.utf8 or name.isascii() else self._encoded(name, "From")
        return f"{shown} <{address.addr_spec}>"

    def _encoded(self, text: str, name: str) -> str:
        return Header(text, "utf-8", header_name=name).encode(linesep=self.linesep)


# cte_type: not every server takes 8-bit text.
MAIL_POLICY = _Policy(linesep="\r\n", cte_type="7bit")
_UTF8 = MAIL_POLICY.clone(utf8=True)


def compose(message: Message, account: Account) -> bytes:
    """The mail for a message, as it is handed to the server.

    Its ``Message-ID`` depends on the message alone: where a mail is sent a second time because nobody knows whether the
    first arrived, mail programs know it for the same.
    """
    rendered = render(message, account.subject)
    domain = account.sender.domain
    mail = EmailMessage(_UTF8 if account.international else MAIL_POLICY)
    mail["From"] = account.sender
    mail["To"] = account.recipients
    mail["Subject"] = rendered.subject
    mail["Date"] = message.at.astimezone(UTC)
    mail["Message-ID"] = f"<dewy.{_hash(repr(message))}@{domain}>"
    if message.deployment:
        # The thread's first mail need not exist: mail programs put what refers to the same one together (RFC 5256).
        # Deployments are named by the second: two hosts may have one of the same name.
        whole = "\0".join((message.host, message.application, message.deployment))
        thread = f"<dewy.deployment.{_hash(whole)}@{domain}>"
        mail["In-Reply-To"] = thread
        mail["References"] = thread
    # No answer, neither from a person on holiday nor from a server (RFC 3834; Precedence and the X- header for older ones).
    mail["Auto-Submitted"] = "auto-generated"
    mail["Precedence"] = "bulk"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    if message.level == "error":
        mail["Importance"] = "high"
    for name in ("event", "level", "application", "host", "version"):
        if value := one_line(getattr(message, name), _MOST_HEADER).replace("=?", "= ?"):
            mail[f"X-Dewy-{name.capitalize()}"] = value
    mail.set_content(rendered.plain)
    mail.add_alternative(rendered.html, subtype="html")
    mail.set_boundary(f"=_dewy_{_hash(repr(message))}")
    return mail.as_bytes()


def _hash(text: str) -> str:
    return sha256(text.encode(errors="backslashreplace")).hexdigest()[:32]
