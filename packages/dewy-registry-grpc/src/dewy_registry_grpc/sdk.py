"""gRPC itself, told to keep quiet before it is loaded. The one place that imports it."""

from __future__ import annotations

import os

# What fails is raised and then told by dewy; gRPC would write it to standard error as well, unless the user wants it to. It
# reads this of the process's own environment, once. The application and the hooks get the environment that dewy was started
# with, so they do not see it.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

__all__ = ["grpc"]
