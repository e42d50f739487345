"""The examples in docstrings say what the code does."""

import subprocess
import sys

import pytest

EXAMPLES = """
import doctest, importlib, pkgutil, sys
import implicit_bias

failed = tried = 0
for module in pkgutil.walk_packages(implicit_bias.__path__, "implicit_bias."):
    if module.name != "implicit_bias.__main__":
        outcome = doctest.testmod(importlib.import_module(module.name))
        failed, tried = failed + outcome.failed, tried + outcome.attempted
print(tried)
sys.exit(failed > 0)
"""


@pytest.mark.slow
def test_the_examples_in_docstrings_say_what_the_code_does():
    """In a process of its own: a user's calls are not checked for types, as those of tests are."""
    done = subprocess.run([sys.executable, "-c", EXAMPLES], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) > 200
