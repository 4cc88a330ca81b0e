"""Whether a version is any good: health checks, and what this host itself is to blame for."""

from dewy.health.blame import HostBlame
from dewy.health.check import HealthCheck, health_check

__all__ = ["HealthCheck", "HostBlame", "health_check"]
