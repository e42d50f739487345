"""docs/extending.md and the how-to pages are followed, block by block; the first shows every seam by its base class."""

import re

import jax
import pytest

from implicit_bias.cli import main

from .documents import DOCS, blocks, commands, follow

PAGE = DOCS / "extending.md"
LEAST = {"extending": 30, "network": 12, "data": 15, "law": 12}
"""What is asked on a page at least, so that none is passed over."""
FOLLOWED = [PAGE, *sorted((DOCS / "how-to").glob("*.md"))]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_every_block_of_the_page_does_what_it_says(page, tmp_path, monkeypatch, capsys):
    """In an empty folder: what a page needs, it makes."""

    def command(words):
        code = main(words)
        said = capsys.readouterr()
        return code, said.out or said.err

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = jax.config.jax_compilation_cache_dir
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        follow(page, tmp_path, command)
    jax.config.update("jax_compilation_cache_dir", kept)
    asked = sum(text.count(">>> ") for _, text, _ in blocks(page, "python"))
    asked += sum(len([*commands(text)]) for _, text, _ in blocks(page, "sh"))
    assert asked >= LEAST.get(page.stem, 2)


SEAMS = ("Problem", "Parameterization", "Law", "Field")


@pytest.mark.parametrize("seam", [*(f"Abstract{seam}" for seam in SEAMS), "Claim", "Study", "at_end", "every"])
def test_the_page_shows_each_seam(seam):
    assert f"ib.{seam}" in PAGE.read_text()


def test_the_glossary_has_one_line_for_a_word():
    lines = (DOCS / "glossary.md").read_text().splitlines()
    words = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]
    assert len(words) == len(set(words)) > 30
    known = {word for line in words for word in line.split(", ")}
    for page in ("engine.md", "tutorial.md", "claims.md"):
        introduced = re.findall(r"\*\*(\w+)\*\*", (DOCS / page).read_text())
        assert set(introduced) <= known, page
