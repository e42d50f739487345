"""docs/extending.md and the how-to pages are run, in their order; and the first shows every seam by its base class."""

import doctest
from pathlib import Path

import jax
import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("page", "examples"), [("extending.md", 30), ("how-to/network.md", 12)])
def test_every_example_of_the_page_runs(page, examples):
    flags = doctest.NORMALIZE_WHITESPACE
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        done = doctest.testfile(str(PAGE.parent / page), module_relative=False, optionflags=flags)
    assert done.failed == 0 and done.attempted >= examples


SEAMS = ("Problem", "Parameterization", "Law", "Field")


@pytest.mark.parametrize("seam", [*(f"Abstract{seam}" for seam in SEAMS), "Claim", "Study", "at_end", "every"])
def test_the_page_shows_each_seam(seam):
    assert f"ib.{seam}" in PAGE.read_text()


def test_the_glossary_has_one_line_for_a_word():
    lines = (PAGE.parent / "glossary.md").read_text().splitlines()
    words = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]
    assert len(words) == len(set(words)) > 30
