"""How tests are dealt to several processes."""

import doctest

from tests import conftest


def test_groups_are_what_their_examples_say():
    """No plugin can see that a group is wrong: tests only take longer, or wait for each other."""
    done = doctest.testmod(conftest)
    assert done.attempted == 2 and done.failed == 0
