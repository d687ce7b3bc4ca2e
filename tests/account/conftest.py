"""Accounts on the real server, over a broker that a test tells what it has."""

from tests.workflows.conftest import desk, desks, environment, little_garbage

__all__ = ["desk", "desks", "environment", "little_garbage"]
