"""The notifier: one mail for each message."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable

from dewy.errors import NotifierError
from dewy.types import Message
from dewy_notifier_mail.account import Account
from dewy_notifier_mail.faults import LATER, LoginRefused, Refusals, is_temporary, refusals_of
from dewy_notifier_mail.mail import compose
from dewy_notifier_mail.session import LIMITS, Limits, deliver

__all__ = ["MailNotifier"]

_log = logging.getLogger(__name__)

_LOGIN_PAUSE = 60.0


class MailNotifier:
    """Sends mails through one account.

    Args:
        account: Which server, as whom, to whom.
        trust: What TLS works with; None for the system's authorities.
        limits: How long a mail may take.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        account: Account,
        trust: ssl.SSLContext | None,
        limits: Limits = LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account, self._trust, self._limits, self._clock = account, trust, limits, clock
        self._all = tuple(address.addr_spec for address in account.recipients)
        self._owed: tuple[Message | None, tuple[str, ...]] = (None, ())
        self._locked: tuple[float, NotifierError] | None = None

    def send(self, message: Message) -> None:
        """Sends one message to all recipients.

        Those that the server refuses for good while it takes others are logged; those that it refuses for now are an error,
        and the next try of the same message is for them alone: nobody gets a mail twice.

        Raises:
            NotifierError: The server took it for nobody, or not yet for all.
        """
        self._check_lock()
        before, owed = self._owed
        recipients = owed if message == before else self._all
        try:
            refused = deliver(self._account, self._trust, compose(message, self._account), recipients, self._limits)
        except LoginRefused as error:
            self._locked = (self._clock() + _LOGIN_PAUSE, error)
            raise
        self._settle(message, refused)

    def _check_lock(self) -> None:
        """A wrong password is not tried again at once: servers lock out the account or the host."""
        if self._locked and self._clock() < self._locked[0]:
            error = self._locked[1]
            raise NotifierError(error.message, error.hint, permanent=True)
        self._locked = None

    def _settle(self, message: Message, refused: Refusals) -> None:
        for_now = {address: answer for address, answer in refused.items() if is_temporary(answer[0])}
        for_good = {address: answer for address, answer in refused.items() if address not in for_now}
        self._owed = (message, tuple(for_now)) if for_now else (None, ())
        if for_good:
            _log.warning(
                "the mail server %s does not take %s mails for %s; the other recipients got this one",
                self._account.server, message.event, refusals_of(for_good, self._account),
            )  # fmt: skip
        if for_now:
            rest = refusals_of(for_now, self._account)
            raise NotifierError(
                f"the mail server {self._account.server} has taken the mail, but not yet for {rest}",
                "The others have it",
                retry_after=LATER,
            )
