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


def test_a_short_name_in_full_is_looked_up_and_not_searched(tmp_path, monkeypatch):
    """It means what the list means by it. To list all studies for each was half a minute of a second reproduce."""
    for folder in ("experiments/one", "experiments/.two", "three"):
        (tmp_path / folder).mkdir(parents=True)
    mine = tmp_path / "experiments" / "one"
    monkeypatch.chdir(tmp_path)
    (mine / "study.py").write_text(STUDY)
    (mine / "_helper.py").write_text(STUDY)
    (mine / "no_study.py").write_text("unlike = 1")
    (tmp_path / "experiments" / ".two" / "study.py").write_text(STUDY)
    (tmp_path / "three" / "study.py").write_text(STUDY)
    known = catalogue.entries()
    monkeypatch.setattr(catalogue, "entries", lambda: pytest.fail("listed"))
    assert {"one/study", ".two/study", "wu2020/limit"} <= {e.name for e in known}
    assert [catalogue.find(e.name) for e in known] == known
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    for name in ("one/_helper", "one/no_study", "../three/study", "one/gone", "one/" + 300 * "x", "/", ""):
        with pytest.raises(Mistake, match="there is no study"):
            catalogue.find(name)
