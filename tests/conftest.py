"""Fixtures that every room's tests may use."""

from sdk_environment import sdk

__all__ = ["sdk"]
