"""What this distribution brings to dewy: the hook. What sends mail is imported when a URL asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import NOTIFIER_OPTIONS, Backend, Notifier, Option

if TYPE_CHECKING:
    from dewy.types import Context
    from dewy.urls import BackendURL

__all__ = ["NOTIFIER", "dewy_notifiers"]


def _open(url: BackendURL, context: Context) -> Notifier:
    from dewy_notifier_mail.account import account_of
    from dewy_notifier_mail.notifier import MailNotifier
    from dewy_notifier_mail.trust import trust_of

    account = account_of(url, context.environ)
    if account.login:
        context.secret(account.login.password)
    return MailNotifier(account, trust_of(account, context.environ))


NOTIFIER: Backend[Notifier] = Backend(
    schemes=("mail", "smtp"),
    summary="mail through an SMTP server, as plain text and HTML",
    examples=(
        "mail://dewy%40example.com:PASSWORD@smtp.example.com/ops@example.com",
        "mail://smtp.example.com:465/ops@example.com,dev@example.com?from=Dewy%20<dewy@example.com>",
        "smtp://localhost:25/root@localhost?from=dewy@localhost&tls=false",
    ),
    options=(
        Option("to", "recipients, separated by commas, besides those in the path"),
        Option("from", "the sender, as dewy@example.com or Dewy <dewy@example.com>; else MAIL_FROM, else the user name"),
        Option("subject", "what every subject starts with", default="Dewy Notification"),
        Option("username", "the user name for the server; else MAIL_USERNAME"),
        Option("password", "the password for the server; else MAIL_PASSWORD", secret=True),
        Option("tls", "true (implicit on port 465, else STARTTLS), starttls, implicit, or false", default="true"),
        Option("ca", "a file with the certificates of the authorities to trust in place of the system's"),
        *NOTIFIER_OPTIONS,
    ),
    open=_open,
)
"""The notifier backend."""


@hookimpl
def dewy_notifiers() -> tuple[Backend[Notifier], ...]:
    """The notifier for ``mail://HOST[:PORT]/RECIPIENT[,RECIPIENT…]``."""
    return (NOTIFIER,)
