"""A study that was edited after its runs were computed: their verdicts are told of before, until they are computed again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import implicit_bias as ib
from implicit_bias.since import _alike
from implicit_bias.sweep.ask.plan import describe

ROOT = Path(__file__).parents[1]

STUDY = '''"""A size."""
import implicit_bias as ib

RATE = 0.01

def cell(*, scale, key, columns=4):
    problem = ib.linear.gaussian(2, columns, target_norm=1.0)(key)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(RATE, max_steps=20))

study = ib.Study(
    cell=cell, grids=ib.grid(seed=range(2), scale=[0.5, 1.0]), observe={"norm": ib.norm(2)}, records=ib.log_records(2),
    claims=[ib.Claim(id="small", source="here", statement="small", kind=ib.Inequality(), accepts=(ib.Status.CAPPED,),
        residual=lambda ds: ib.curves.last(ds.norm), tolerance=lambda ds: 10.0, because="an example")],
)
'''
SAYS = "mine: edited since these runs were computed: {}; they are judged, and `implicit-bias run mine.py` computes today's"


def edit(*change):
    Path("mine.py").write_text(STUDY.replace(*change) if change else STUDY)
    assert not change or change[0] in STUDY


def said(*argv):
    """A command as a process of its own: what has been imported is not read again."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(Path("cache").absolute())}
    command = [sys.executable, "-m", "implicit_bias", *argv]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def ran(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edit()
    code, out, err = said("run", "mine.py")
    assert code == 0 and "edited" not in out + err, err


CELLS = {
    "what a run does": ("RATE = 0.01", "RATE = 0.02"),
    "its grid": ("range(2)", "range(3)"),
    "what a run does, a keyword's default": ("columns=4", "columns=5"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("ran")
def test_a_claim_that_is_edited_is_judged_anew_and_nothing_is_said():
    edit("10.0", "0.001")
    code, out, err = said("check", "mine.py")
    assert code == 1 and "refuted, EXPECTED SUPPORTED" in out and "edited" not in err


@pytest.mark.slow
@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize("what", CELLS)
def test_check_says_what_was_edited_and_run_mends_it(what):
    edit(*CELLS[what])
    code, out, err = said("check", "mine.py")
    assert code == 0 and "supported" in out and SAYS.format(what) in err.splitlines()
    code, out, err = said("run", "mine.py")
    assert code == 0 and "edited" not in out + err
    assert "edited" not in said("check", "mine.py")[2]


@pytest.mark.slow
@pytest.mark.usefixtures("ran")
def test_what_is_told_of_runs_of_before():
    """Wherever their verdicts are: in a terminal each time, on the page and its index, in `status`; nobody cites them."""
    edit(*CELLS[what := "what a run does"])
    for _ in range(2):  # judged, and read from the file of verdicts
        code, out, err = said("check", "mine.py")
        assert code == 0 and "supported" in out and SAYS.format(what) in err.splitlines()
    assert SAYS.format(what) in said("report", "mine.py")[2]
    pages = Path("results/mine/report.html"), Path("results/index.html")
    assert all(f"Edited since these runs were computed: {what}"in p.read_text() for p in pages)
    assert f"edited since these runs: {what}" in said("status", "mine.py")[1]
    cited = said("cite", "mine.py:small")[1]
    assert SAYS.format(what).split(": ", 1)[1] in cited and "was not judged" in cited
    code, out, err = said("run", "mine.py")
    assert code == 0 and "edited" not in out + err
    assert not any("Edited since" in p.read_text() for p in pages)
    assert "edited" not in said("check", "mine.py")[2] + said("status", "mine.py")[1]


@pytest.mark.slow
@pytest.mark.usefixtures("ran")
def test_an_edit_that_leaves_the_runs_as_they_are_is_known_to_by_run():
    edit("max_steps=20", "max_steps=2 * 10 if RATE else 20")
    assert SAYS.format("what a run does") in said("check", "mine.py")[2]
    code, _, err = said("run", "mine.py")
    assert code == 0 and "nothing to compute" in err
    assert "edited" not in said("check", "mine.py")[2]


@pytest.mark.slow
@pytest.mark.usefixtures("ran")
def test_results_of_other_words_are_held_to_their_own():
    assert said("run", "mine.py", "scale=0.5", "--as", "half")[0] == 0
    assert "edited" not in said("check", "mine@half")[2]
    edit("scale=[0.5, 1.0]", "scale=[0.5, 2.0]")
    assert "edited" not in said("check", "mine@half")[2], "its scale was given"
    assert SAYS.format("its grid") in said("check", "mine.py")[2]
    edit("scale", "size")
    assert "edited since these runs were computed: what a run does, its axes; they" in said("check", "mine@half")[2]


@pytest.mark.slow
@pytest.mark.usefixtures("ran")
def test_plans_of_an_older_laboratory_say_nothing():
    (plan,) = Path("results/mine/plans").glob("*.json")
    document = json.loads(plan.read_text())
    assert document.pop("wording")
    plan.write_text(json.dumps(document))
    edit("RATE = 0.01", "RATE = 0.02")
    code, _, err = said("check", "mine.py")
    assert code == 0 and "edited" not in err
    document["wording"] = ["a", "list"]
    plan.write_text(json.dumps(document))
    code, _, err = said("check", "mine.py")
    assert code == 2 and "its wording is no word" in err


def test_the_last_bits_of_a_computed_grid_are_the_machines():
    def grid(**axes):
        (one,) = ib.grid(**axes).titled()
        return json.loads(json.dumps(describe(one)))

    first = grid(seed=range(3), scale=[0.1, 0.2], law=["a", "b"])
    assert _alike(first, grid(seed=range(3), scale=[0.1 + 2e-17, 0.2], law=["a", "b"]))
    for other in (
        dict(seed=range(3), scale=[0.1 + 1e-9, 0.2], law=["a", "b"]), dict(seed=range(4), scale=[0.1, 0.2], law=["a", "b"]),
        dict(seed=[0, 1, 3], scale=[0.1, 0.2], law=["a", "b"]), dict(seed=range(3), scale=[0.1, 0.2], law=["a", "c"]),
        dict(seed=range(3), scale=[0.1, 0.2]), dict(seed=range(3), scale=["0.1", "0.2"], law=["a", "b"]),
    ):  # fmt: skip
        assert not _alike(first, grid(**other)), other
