"""How Hypothesis runs properties here: without a clock, as the machine may be busy with other work."""

from hypothesis import HealthCheck, settings

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Of every property: `tests/conftest.py` makes it the default."""
FIXTURES_STAY = settings(PATIENT, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
"""For a property that takes a fixture, and does not mind that all its examples share it."""
