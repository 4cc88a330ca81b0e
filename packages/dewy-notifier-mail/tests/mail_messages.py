"""Messages as dewy makes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dewy.types import Message

__all__ = ["DONE", "FAILED"]

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
    output_size=51,
    error="it ended with status 3",
)
"""It did not."""
