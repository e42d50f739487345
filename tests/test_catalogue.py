"""Study files as packages: what papers of one family share, and where an error of theirs came from."""

import pytest

from implicit_bias import catalogue
from implicit_bias._errors import Mistake

STUDY = """'''A study.'''
import implicit_bias as ib
from .._shared import SCALE

def cell(*, key, scale=SCALE):
    problem = ib.linear.gaussian(2, 3)(key)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(0.1, max_steps=3))

study = ib.Study(cell=cell, grids=ib.grid(seed=range(2)), observe={"norm": ib.norm(2)})
"""


def family(root, shared):
    (root / "one").mkdir(parents=True)
    (root / "_shared.py").write_text(shared)
    (root / "one" / "study.py").write_text(STUDY)
    return catalogue.load(catalogue.find(str(root / "one" / "study.py")))


def test_papers_of_one_family_share_a_file_beside_their_folders(tmp_path):
    """And families of the same names in two places stay apart."""
    for folder, scale in (("here", 0.5), ("there", 2.0)):
        study = family(tmp_path / folder / "experiments", f"SCALE = {scale}\n")
        assert study.cell.__kwdefaults__["scale"] == scale


def test_an_error_in_a_shared_file_says_where(tmp_path):
    with pytest.raises(Mistake, match=r"_shared\.py:2: ZeroDivisionError"):
        family(tmp_path / "experiments", "SCALE = 1\nSCALE / 0\n")


def test_a_folder_may_have_a_dot(tmp_path):
    study = family(tmp_path / "v1.0" / "experi.ments", "SCALE = 3.0\n")
    assert study.cell.__kwdefaults__["scale"] == 3.0


def test_a_file_is_parsed_once_for_each_content(tmp_path, monkeypatch):
    """A second reproduce of 84 studies parsed each of their files 87 times."""
    path = tmp_path / "experiments" / "one" / "study.py"
    path.parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    parsed = []
    parse = catalogue.ast.parse
    monkeypatch.setattr(catalogue.ast, "parse", lambda text: parsed.append(text) or parse(text))
    for words in ("A study.", "Another study."):
        path.write_text(STUDY.replace("A study.", words))
        for _ in range(3):
            assert [e.docstring for e in catalogue.entries() if e.name == "one/study"] == [words]
        assert sum(words in text for text in parsed) == 1
    path.write_text("study = (")
    assert catalogue.find("one/study").docstring == "(cannot be read as Python)"
    path.write_text("unlike = 1")
    assert "one/study" not in [e.name for e in catalogue.entries()]
