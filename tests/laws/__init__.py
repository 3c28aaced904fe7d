"""What holds whatever happens: the API against a plain model, live rows against folded ones, many writers at once."""

import pytest

# Their assertions are part of the tests: say what differs.
pytest.register_assert_rewrite("tests.laws.api_calls", "tests.laws.compared_api", "tests.laws.api_machine")
