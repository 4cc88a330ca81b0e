"""What went wrong with a mail server, in words a person can act on, without the password in them."""

from __future__ import annotations

import smtplib
import socket
import ssl
from enum import Enum

from dewy.errors import NotifierError
from dewy_notifier_mail.account import Account, Tls
from dewy_notifier_mail.cleaning import one_line

__all__ = ["LATER", "LoginRefused", "Refusals", "Stage", "Unable", "fault_of", "is_temporary", "refusals_of"]

Refusals = dict[str, tuple[int, bytes]]
"""Recipients' addresses, and with what code and text the server refused each."""

_MOST_WORDS = 200
_MOST_NAMED = 5
LATER = 30.0
"""Seconds after which a server that said "not now" is asked again (RFC 5321, 4.5.4.1)."""

_HOSTNAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class Stage(Enum):
    """Where in the conversation something went wrong; as texts say it."""

    CONNECTING = "the connection"
    SECURING = "the TLS handshake"
    GREETING = "its greeting"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    LOGIN = "the login"
    SENDER = "the sender"
    RECIPIENTS = "the recipients"
    CONTENT = "the mail itself"


class Unable(Exception):
    """The server cannot do what is needed. The text is a clause that follows its name."""


class LoginRefused(NotifierError):
    """User name or password are wrong: trying again makes it worse, for servers lock out who tries too often."""


_HINTS = {
    Stage.GREETING: "The server does not talk to this host: is its address on a block list?",
    Stage.STARTTLS: "Use port 465 (implicit TLS), or have the server's TLS repaired; tls=false is for a relay on this host",
    Stage.LOGIN: "Check the user name and the password (MAIL_USERNAME, MAIL_PASSWORD); some providers want one for apps",
    Stage.SENDER: "Set from= or MAIL_FROM to an address that this server lets you send from",
    Stage.RECIPIENTS: "Check the addresses, and that the server takes mail for them from here; most want a login",
    Stage.CONTENT: "The server's own words say why; its filter may have taken the mail for something else",
}
_UNABLE_HINTS = {
    Stage.STARTTLS: "Use port 465 (implicit TLS) if the server has it; for a relay on this host, tls=false",
    Stage.LOGIN: "dewy speaks PLAIN and LOGIN; if the server needs no login, leave out user name and password",
    Stage.SENDER: "Use addresses without other letters than those of ASCII",
}
_NETWORK = (
    "Check host and port, and what stands between this host and the server: a firewall, a provider that closes port 25"
)
_TOO_LARGE = "The server takes only smaller mails: raise its limit"
_LOGIN_NEEDED = "The server wants a login: set username and password, or MAIL_USERNAME and MAIL_PASSWORD"
_TLS_NEEDED = "Leave out tls=false; the server may also want a login"
_PASSES = "It passes by itself, as a rule; if not, ask who runs the server"
_PERHAPS = "The server may have the mail all the same"
_OTHER_TLS = {
    Tls.IMPLICIT: "The port may be one for STARTTLS: set tls=starttls, or use port 465",
    Tls.STARTTLS: "If the port is one for TLS from the first byte on, set tls=implicit",
    Tls.NONE: "If the port is one for TLS from the first byte on, set tls=implicit",
}


def fault_of(error: Exception, stage: Stage, account: Account, out_of_time: float | None) -> NotifierError:
    """What an error of smtplib, of TLS or of the system means.

    Args:
        error: What was raised.
        stage: Where in the conversation.
        account: Whose; its password never stands in the text.
        out_of_time: The seconds that the whole may take, if they are over.
    """
    server = f"the mail server {account.server}"
    if out_of_time is not None:
        hint = _PERHAPS if stage is Stage.CONTENT else _NETWORK
        return NotifierError(f"{server} did not take the mail within {out_of_time:g} s; it was at {stage.value}", hint)
    if isinstance(error, Unable):
        return NotifierError(f"{server} {error}", _UNABLE_HINTS.get(stage, ""), permanent=True)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _of_refusals(server, error.recipients, account)
    if isinstance(error, smtplib.SMTPResponseException):
        return _of_answer(server, error, stage, account)
    return _of_connection(server, error, stage, account)


def is_temporary(code: int) -> bool:
    """Whether a server's refusal is one for now (RFC 5321, 4.2.1)."""
    return 400 <= code < 500


def refusals_of(refused: Refusals, account: Account) -> str:
    """Who was refused, and in what words of the server, for people."""
    named = [f"{address} ({_answer(code, text, account)})" for address, (code, text) in list(refused.items())[:_MOST_NAMED]]
    more = len(refused) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


# ------------------------------------------------------------------------------------------------------ what it answered


def _of_refusals(server: str, refused: Refusals, account: Account) -> NotifierError:
    temporary = any(is_temporary(code) for code, _ in refused.values())
    needed = next((hint for code, _ in refused.values() if (hint := _hint_by_code(code, account))), None)
    return NotifierError(
        f"{server} takes the mail for none of its recipients: {refusals_of(refused, account)}",
        _PASSES if temporary else needed or _HINTS[Stage.RECIPIENTS],
        retry_after=LATER if temporary else None,
        permanent=not temporary,
    )


def _of_answer(server: str, error: smtplib.SMTPResponseException, stage: Stage, account: Account) -> NotifierError:
    code, text = error.smtp_code, error.smtp_error
    if not 200 <= code < 600:
        return NotifierError(f"{server} does not answer as mail servers do at {stage.value}", _OTHER_TLS[account.server.tls])
    what = f"{server} refuses {_object(stage, account)}: {_answer(code, text, account)}"
    if is_temporary(code):
        return NotifierError(what, _PASSES, retry_after=LATER)
    hint = _hint_by_code(code, account) or _HINTS.get(stage, "")
    return (LoginRefused if stage is Stage.LOGIN else NotifierError)(what, hint, permanent=True)


def _object(stage: Stage, account: Account) -> str:
    if stage is Stage.GREETING:
        return "the connection"
    return f"the sender {account.sender.addr_spec}" if stage is Stage.SENDER else stage.value


def _hint_by_code(code: int, account: Account) -> str:
    if code == 552:
        return _TOO_LARGE
    if code == 530:
        return _TLS_NEEDED if account.server.tls is Tls.NONE else "" if account.login else _LOGIN_NEEDED
    return ""


def _answer(code: int, text: bytes | str, account: Account) -> str:
    words = _words(text.decode(errors="replace") if isinstance(text, bytes) else text, account)
    lasting = "for now" if is_temporary(code) else "for good"
    return f"{code} {words}, {lasting}" if words else f"{code}, {lasting}"


def _words(text: object, account: Account) -> str:
    """A stranger's words, fit for a line: a server may send back what it was sent, also with control characters in it."""
    return account.hide(one_line(account.hide(str(text)), _MOST_WORDS)).rstrip(". ")


# ------------------------------------------------------------------------------------------------------- what broke off


def _of_connection(server: str, error: Exception, stage: Stage, account: Account) -> NotifierError:
    # smtplib raises an error of its own in place of the system's
    cause = error.__context__ if isinstance(error, smtplib.SMTPException) else error
    why = f": {_words(getattr(cause, 'strerror', None) or cause, account)}" if cause else ""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _of_certificate(server, cause, account)
    if isinstance(cause, TimeoutError):
        return NotifierError(f"{server} did not answer in time at {stage.value}", _hint_by_stage(stage, account))
    if isinstance(cause, socket.gaierror):
        return NotifierError(f"{server} is not found{why}", "Check the host, and this host's DNS")
    if isinstance(cause, ssl.SSLError):
        return NotifierError(f"{server} and dewy find no common TLS at {stage.value}{why}", _OTHER_TLS[account.server.tls])
    if stage is Stage.CONNECTING:
        return NotifierError(f"no connection to {server}{why}", _NETWORK)
    return NotifierError(f"{server} broke off the conversation at {stage.value}{why}", _hint_by_stage(stage, account))


def _hint_by_stage(stage: Stage, account: Account) -> str:
    by_stage = {
        Stage.CONNECTING: _NETWORK,
        Stage.GREETING: _OTHER_TLS[account.server.tls],
        Stage.CONTENT: _PERHAPS,
    }
    return by_stage.get(stage, _PASSES)


def _of_certificate(server: str, error: ssl.SSLCertVerificationError, account: Account) -> NotifierError:
    if error.verify_code in _HOSTNAME_MISMATCH:
        hint = "Name the server in the URL as its certificate does"
    else:
        hint = "If its authority is your own, name the file with its certificate in ca=; else do not trust this server"
    why = _words(error.verify_message, account)
    return NotifierError(f"the certificate of {server} is not accepted: {why}", hint, permanent=True)
