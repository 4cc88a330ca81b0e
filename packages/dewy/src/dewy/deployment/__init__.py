"""Deployments: from a release that is wanted to a release that runs, back to one that ran, and on after a crash."""

from dewy.deployment.application import Application
from dewy.deployment.attempt import DeploymentFailed
from dewy.deployment.pipeline import Pipeline
from dewy.deployment.recovery import recover, take_up
from dewy.deployment.rollback import Rollback, RolledBack, release_to_go_back_to
from dewy.deployment.stage import Stage

__all__ = [
    "Application",
    "DeploymentFailed",
    "Pipeline",
    "Rollback",
    "RolledBack",
    "Stage",
    "recover",
    "release_to_go_back_to",
    "take_up",
]
