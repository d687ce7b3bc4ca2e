import pytest

pytest.register_assert_rewrite("tests.crashes.agreement", "tests.crashes.orders", "tests.crashes.processes")
