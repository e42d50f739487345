"""Workers share a plan without talking: every tile is somebody's, whatever is done already, and all write the same bytes."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from implicit_bias import cli
from implicit_bias.cluster import worker
from implicit_bias.request import requested
from implicit_bias.session import make_plan
from implicit_bias.sweep.work import execute as execution
from implicit_bias.sweep.ask import batch
from implicit_bias.sweep.ask import plan as planning

STUDY = '''"""A study of workers."""
import implicit_bias as ib

def cell(*, scale, key, method="wn", rows=3):
    problem = ib.linear.gaussian(rows, 6)(key)
    weights = {"gd": ib.Euclidean(scale), "wn": ib.Polar(scale)}[method]
    return ib.Run(problem, weights, ib.Descent(1e-2, max_steps=20))

study = ib.Study(cell=cell, grids=ib.grid(method=["gd", "wn"], seed=range(6), scale=[0.5, 1.0, 2.0]))
'''


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with a study, run whole by one command: (folder, plan file, tiles)."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "mine.py").write_text(STUDY)
    here = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planning, "block_width", lambda: 4)
            patch.setattr(batch, "TILE_BLOCKS", 1)
            patch.setattr(planning, "LAUNCH_SECONDS", 0.0)
            assert cli.main(["run", "mine.py"]) == 0
    finally:
        os.chdir(here)
    (plan,) = (folder / "results" / "mine" / "plans").iterdir()
    return folder, plan.name, tiles(folder)


def tiles(folder):
    return {p.name: p.read_bytes() for p in (folder / "results" / "mine" / "tiles").glob("*")}


@pytest.fixture
def submitted(lab, tmp_path, monkeypatch):
    """The same study and plan in another folder, nothing done: (plan file, tiles expected)."""
    folder, name, expected = lab
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planning, "block_width", lambda: 4)
    monkeypatch.setattr(batch, "TILE_BLOCKS", 1)
    monkeypatch.setattr(planning, "LAUNCH_SECONDS", 0.0)
    shutil.copy(folder / "mine.py", tmp_path)
    plan = tmp_path / "results" / "mine" / "plans" / name
    plan.parent.mkdir(parents=True)
    document = json.loads((folder / "results" / "mine" / "plans" / name).read_text())
    plan.write_text(json.dumps({**document, "file": str(tmp_path / "mine.py")}))
    return plan, expected


@pytest.mark.slow
def test_one_of_three_workers_does_its_share_and_then_the_rest(submitted, tmp_path, capsys):
    plan, expected = submitted
    assert cli.main(["work", str(plan), "--worker", "1", "--of", "3"]) == 0
    assert tiles(tmp_path) == expected
    told = capsys.readouterr().err
    assert told.index("its share") < told.index("what others left") < told.index("all 36 runs are done")
    assert not list((tmp_path / "results" / "mine" / "workers").iterdir())
    assert cli.main(["work", str(plan)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("of", [1, 2, 3, 5, 50])
def test_shares_are_a_partition_that_does_not_hang_on_what_is_done(submitted, tmp_path, lab, of):
    request = requested("mine.py", [], "laptop", tmp_path / "results")

    def by_worker():
        plan = make_plan(request, request.store)[1]
        return plan, [{plan.tile_id(*t) for t in share} for share in worker.shares(plan, of)]

    plan, before = by_worker()
    assert sum(map(len, before)) == len(set().union(*before)) == len(list(plan.pending()))
    assert max(map(len, before)) <= -(-len(list(plan.pending())) // of) + 2
    done = sorted(lab[2])[::3]
    (tmp_path / "results" / "mine" / "tiles").mkdir()
    for name in done:
        (tmp_path / "results" / "mine" / "tiles" / name).write_bytes(lab[2][name])
    gone = {name.partition(".")[0] for name in done}
    assert [share - gone for share in before] == by_worker()[1]


@pytest.mark.slow
def test_thieves_go_different_ways(submitted, tmp_path):
    """Each order is a permutation with the tiles of a program together; no two of four workers begin alike."""
    request = requested("mine.py", [], "laptop", tmp_path / "results")
    plan = make_plan(request, request.store)[1]
    everything = list(plan.pending())
    orders = [[plan.tile_id(*t) for t in worker.shuffled(plan, everything, i)] for i in range(4)]
    assert all(sorted(o) == sorted(orders[0]) for o in orders)
    assert len({o[0] for o in orders}) > 1 and len(set(map(tuple, orders))) == 4
    for i in range(4):
        programs = [t[0].program for t in worker.shuffled(plan, everything, i)]
        assert sum(a is not b for a, b in zip(programs, programs[1:])) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_finishes_the_tile_and_exits_75(submitted, tmp_path, monkeypatch, capsys, number):
    plan, expected = submitted
    ran = execution._run_piece

    def run_block(*arguments):
        os.kill(os.getpid(), number)
        time.sleep(0.5)  # the main thread hears it meanwhile
        return ran(*arguments)

    monkeypatch.setattr(execution, "_run_piece", run_block)
    before = signal.getsignal(number)
    assert cli.main(["work", str(plan)]) == 75
    assert signal.getsignal(number) == before
    kept = tiles(tmp_path)
    assert 0 < len(kept) < len(expected) and kept.items() < expected.items()
    assert "go on with: implicit-bias run" in capsys.readouterr().err
    monkeypatch.setattr(execution, "_run_piece", ran)
    assert cli.main(["work", str(plan)]) == 0
    assert tiles(tmp_path) == expected


@pytest.mark.slow
def test_tiles_that_raise_make_exit_1_and_a_line(submitted, tmp_path, monkeypatch, capsys):
    plan, expected = submitted
    ran = execution._run_piece

    def run_block(block, *arguments):
        if block.batch.statics["method"] == "gd":
            raise RuntimeError("a bad node")
        return ran(block, *arguments)

    monkeypatch.setattr(execution, "_run_piece", run_block)
    assert cli.main(["work", str(plan)]) == 1
    assert "raised three times, for instance" in (err := capsys.readouterr().err) and "a bad node" in err
    assert cli.main(["status", "results/mine"]) == 0
    assert "raised three times" in (out := capsys.readouterr().out) and "18 of 36 runs done" in out
    monkeypatch.setattr(execution, "_run_piece", ran)
    assert cli.main(["work", str(plan)]) == 0 and tiles(tmp_path) == expected


@pytest.mark.slow
def test_a_study_edited_since_is_refused(submitted, tmp_path, capsys):
    plan, _ = submitted
    (tmp_path / "mine.py").write_text(STUDY.replace("max_steps=20", "max_steps=30"))
    for name in [m for m in sys.modules if m.endswith(".mine")]:
        del sys.modules[name]
    assert cli.main(["work", str(plan)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: PLAN: ") and "edited since; submit it again" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.json"], "there is no plan nowhere.json"),
        (["PLAN", "--worker", "3", "--of", "3"], "worker: there is no worker 3 of 3"),
        (["PLAN", "--worker", "-1", "--of", "3"], "worker: there is no worker -1 of 3"),
        (["PLAN", "--worker", "1"], "of: worker 1 of how many is not said; give --of N"),
        (["mine.py"], "mine.py is not a plan"),
    ],
)
def test_mistakes_are_one_line(submitted, capsys, words, said):
    plan, _ = submitted
    assert cli.main(["work", *(str(plan) if w == "PLAN" else w for w in words)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and said in err and err.count("\n") == 1


def test_a_plan_made_in_python_says_no_request(submitted, capsys):
    plan, _ = submitted
    document = json.loads(plan.read_text())
    plan.write_text(json.dumps({k: v for k, v in document.items() if k != "request"}))
    assert cli.main(["work", str(plan)]) == 2
    assert "does not say what was asked for" in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_that_is_requeued_in_vain_gives_up(submitted, monkeypatch, capsys):
    """The signal comes before there is any tile: 75 twice, then 1."""
    plan, _ = submitted
    made = worker.make_plan
    monkeypatch.setattr(worker, "make_plan", lambda *a: (os.kill(os.getpid(), signal.SIGUSR1), made(*a))[1])
    for restarts, code in ((None, 75), ("1", 75), ("2", 1)):
        monkeypatch.setenv("SLURM_RESTART_COUNT", restarts) if restarts else None
        assert cli.main(["work", str(plan)]) == code
    assert "no tile was finished in start 3 either: give more time" in capsys.readouterr().err


def test_a_study_that_lies_elsewhere_is_found_by_its_name(submitted, tmp_path):
    plan, expected = submitted
    document = json.loads(plan.read_text())
    package = tmp_path / "experiments" / "mine"
    package.mkdir(parents=True)
    shutil.move(tmp_path / "mine.py", package / "mine.py")
    plan.write_text(json.dumps({**document, "study": "mine/mine"}))
    from implicit_bias.request import planned

    assert planned(plan)[0].entry.path == package / "mine.py"
    assert expected
