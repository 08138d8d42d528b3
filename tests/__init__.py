"""Before anything of `tests.support` is imported: its asserts explain themselves too."""

import pytest

pytest.register_assert_rewrite("tests.support")
