"""Messages as dewy makes them, and what opens a notifier for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from dewy.types import Message
from dewy_notifier_slack.notifier import SlackNotifier

__all__ = ["DONE", "FAILED", "Opens"]

Opens = Callable[..., SlackNotifier]
"""Opens a notifier URL for the test's workspace, with a patience of one's own; by default ``slack://deploys``."""

DONE = Message(
    event="deployment.done",
    level="info",
    title="myapp on web1: v1.4.0 is deployed",
    text="v1.4.0 is deployed (before: v1.3.9) in 2.1s",
    application="myapp",
    host="web1",
    at=datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC),
    version="v1.4.0",
    previous_version="v1.3.9",
    registry="s3://us-east-1/releases/myapp",
    seconds=2.1,
    deployment="web1/20240315T143020Z",
)
"""It went well."""

FAILED = replace(
    DONE,
    event="hook.failed",
    level="error",
    title="myapp on web1: the before hook of v1.4.0 failed",
    text="the before hook of v1.4.0 failed: it ended with status 3. v1.3.9 serves on, v1.4.0 is tried again in 10 s",
    hook="./migrate.sh --all",
    status=3,
    output='migrating\nERROR: relation "users" does not exist\n',
    output_size=49,
    error="it ended with status 3",
)
"""It did not."""
