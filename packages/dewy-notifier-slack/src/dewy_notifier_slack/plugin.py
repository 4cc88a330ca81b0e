"""What this distribution brings to dewy: the hook. Imports no SDK; the notifier that the backend opens does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dewy import hookimpl
from dewy.types import NOTIFIER_OPTIONS, Backend, Option

if TYPE_CHECKING:
    from dewy.types import Context, Notifier
    from dewy.urls import BackendURL

__all__ = ["NOTIFIER", "dewy_notifiers"]


def _open(url: BackendURL, context: Context) -> Notifier:
    from dewy_notifier_slack.settings import Settings

    settings = Settings.read(url, context.environ)
    context.secret(settings.token)

    from dewy_notifier_slack.notifier import SlackNotifier

    return SlackNotifier(settings)


NOTIFIER: Backend[Notifier] = Backend(
    schemes=("slack",),
    summary="a Slack channel, by the token in SLACK_TOKEN",
    examples=(
        "slack://deploys",
        "slack://%23deploys?thread=true&quiet=true",
        "slack://C0123ABCDEF?title=Shop&url=https://shop.example.com",
    ),
    options=(
        *NOTIFIER_OPTIONS,
        Option("title", "stands in place of the application's name"),
        Option("url", "where the title of each message leads", kind="url"),
        Option("thread", "keep the messages of one deployment in one thread", kind="flag", default="false"),
    ),
    open=_open,
)
"""The notifier backend."""


@hookimpl
def dewy_notifiers() -> tuple[Backend[Notifier], ...]:
    """The notifier for ``slack://CHANNEL``."""
    return (NOTIFIER,)
