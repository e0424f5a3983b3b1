"""Fixtures that every room's tests may use. No test here is timed: the machine may be busy."""

from hypothesis import HealthCheck, settings
from sdk_environment import sdk

__all__ = ["sdk"]

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
