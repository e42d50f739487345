"""What becomes of tiles whose computation raises, of tiles that others write meanwhile, and of a request to stop."""

import json
import threading

import jax
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.sweep.work import execute as execution
from implicit_bias.sweep.work.deal import TRIES, Crowd
from implicit_bias.sweep.work.execute import Stop
from implicit_bias.sweep.work.journal import Journal
from implicit_bias.sweep.keep.store import Store

from .laboratory import study

WIDTH = 4
ONE = jax.local_devices()[:1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    study().run(out=folder, width=WIDTH, devices=ONE)
    return folder


def tiles(folder):
    return {p.name: p.read_bytes() for p in (folder / "tiles").iterdir()}


@pytest.fixture
def failing(monkeypatch):
    """Blocks of one seed raise, as often as is asked."""

    def fail(times, error=RuntimeError("RESOURCE_EXHAUSTED: no room\nfor 3 GB")):
        ran, left = execution._run_piece, [times]

        def run_block(block, *arguments):
            if left[0] and block.batch.points[block.runs[0]][block.batch.traced_axes.index("seed")] == 1:
                left[0] -= 1
                raise error
            return ran(block, *arguments)

        monkeypatch.setattr(execution, "_run_piece", run_block)

    return fail


@pytest.mark.slow
def test_a_tile_that_raises_is_tried_again(whole, tmp_path, failing):
    failing(TRIES - 1)
    study().run(out=tmp_path, width=WIDTH, devices=ONE)
    assert tiles(tmp_path) == tiles(whole)
    assert Journal(Store(tmp_path)).failures() == []


@pytest.mark.slow
def test_after_the_third_time_it_is_recorded_and_the_others_go_on(whole, tmp_path, failing, monkeypatch):
    failing(10**6)
    told = []
    with pytest.warns(UserWarning, match="1 tiles failed.*no room for 3 GB; ask for fewer rows"):
        data = study().run(out=tmp_path, width=WIDTH, devices=ONE, tell=told.append)
    assert (told[-1].runs_done, told[-1].runs_total, told[-1].passed_over) == (24, 24, 8)
    assert (data.status.sel(seed=1) == ib.Status.ABSENT).all() and (data.status.sel(seed=[0, 2]) > 0).all()
    (failure,) = Journal(Store(tmp_path)).failures()
    assert failure["runs"] == 8 and failure["first"]["seed"] == failure["last"]["seed"] == "1"
    assert "RuntimeError" in failure["traceback"] and f"{failure['tile']}.safetensors" in tiles(whole)
    monkeypatch.undo()
    study().run(out=tmp_path, width=WIDTH, devices=ONE)
    assert tiles(tmp_path) == tiles(whole)
    assert Journal(Store(tmp_path)).failures() == []


@pytest.mark.slow
def test_a_program_that_does_not_compile_fails_its_tiles_alone(tmp_path, monkeypatch):
    compiled, asked = execution.Program.compile, []

    def compile_(program, devices):
        asked.append(program)
        if program is asked[0]:
            raise ValueError("no such instruction")
        return compiled(program, devices)

    monkeypatch.setattr(execution.Program, "compile", compile_)
    two = study(grids=ib.grid(seed=range(2), scale=[0.5, 1.0], ratio=[1.0], method=["wn", "rpgd"]))
    with pytest.warns(UserWarning, match="no such instruction"):
        data = two.run(out=tmp_path, width=WIDTH, devices=ONE)
    assert sorted((data.status > 0).all(["seed", "scale", "ratio"]).values) == [False, True]
    assert asked.count(asked[0]) <= 2  # ahead of time, and by the first block: not once more a tile


@pytest.mark.slow
def test_what_another_worker_has_written_meanwhile_is_passed_over(whole, tmp_path):
    store, one = Store(tmp_path), study()
    plan = one.plan(store=store, width=WIDTH)
    store.prepare()
    first = sorted(tiles(whole))[0]
    (tmp_path / "tiles" / first).write_bytes(tiles(whole)[first])
    told = []
    outcome = one.execute(plan, store, devices=ONE, tell=told.append)
    assert outcome.written == 2 and told[-1].passed_over == 8 and told[-1].runs_done == 24
    assert tiles(tmp_path) == tiles(whole)


@pytest.mark.slow
def test_a_stop_finishes_what_is_begun_and_begins_nothing(whole, tmp_path, monkeypatch):
    stop, ran = Stop(), execution._run_piece
    monkeypatch.setattr(execution, "workers_of", lambda *_: 1)
    monkeypatch.setattr(execution, "_run_piece", lambda *a: (stop.ask(), ran(*a))[1])
    store, one = Store(tmp_path), study()
    outcome = one.execute(one.plan(store=store, width=WIDTH), store, devices=ONE, stop=stop)
    assert outcome.written == 1  # of two blocks: the stop came during the first
    assert tiles(tmp_path).items() < tiles(whole).items()


def test_a_failure_is_one_file_that_says_it_all(tmp_path):
    journal = Journal(Store(tmp_path))
    journal.record_failure("0" * 32, why="no", runs=3)
    (path,) = (tmp_path / "failed").iterdir()
    said = json.loads(path.read_text())
    assert (said["why"], said["runs"], said["tile"]) == ("no", 3, "0" * 32) and {"at", "host", "pid"} <= set(said)


def test_alone_is_alone():
    """Together or alone: the most inside at a time, by how they came in."""
    crowd, inside, most = Crowd(), [0, 0], [0, 0, 0]
    lock = threading.Lock()

    def enter(alone):
        for _ in range(50):
            with crowd.entered(alone):
                with lock:
                    inside[alone] += 1
                    most[alone] = max(most[alone], inside[alone])
                    most[2] = max(most[2], min(inside))
                np.linalg.norm(np.ones(1000))
                with lock:
                    inside[alone] -= 1

    threads = [threading.Thread(target=enter, args=[i % 2 == 0]) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[1] == 1 and most[2] == 0
