"""Several blocks a launch and several seeds a tile change where numbers lie, and not one of them."""

import time

import jax
import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias import _lanes
from implicit_bias.sweep.ask import batch as batches
from implicit_bias.sweep.ask import plan as planning
from implicit_bias.sweep.keep.store import Store
from implicit_bias.sweep.program import engine
from implicit_bias.sweep.program import layout as layouts
from implicit_bias.sweep.work import execute as execution
from implicit_bias.sweep.work.journal import Journal

from .laboratory import cell, study

pytestmark = pytest.mark.usefixtures("as_shipped")
SCALES = [float(s) for s in np.linspace(0.1, 2.0, 40)]


def wide(seeds=5, scales=SCALES, **changes):
    """Forty scales: half a block and more, so that lanes of different seeds are not mixed."""
    return study(cell=cell, grids=ib.grid(seed=range(seeds), scale=scales), **changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, as_shipped):
    folder = tmp_path_factory.mktemp("whole")
    return folder, wide().run(out=folder)


def test_a_short_run_shares_its_launch_and_its_tile(whole):
    (batch,) = wide().plan().batches
    assert batch.program.layout.places == 16 and not batch.program.layout.mixed
    assert len(Store(whole[0]).names()) == 1
    launch = batch.arranged(list(range(40, 130)))
    assert launch.firsts == [40, 80, 120] and list(launch.which[:4]) == [0, 1, 2, -1]
    assert [launch.lanes[i] for i in launch.used] == list(range(40, 130))


def test_numbers_are_those_of_one_block_a_launch(whole, monkeypatch):
    """Another program, which may round in another place: 1e-12 of what contracts."""
    monkeypatch.setattr(planning, "LAUNCH_SECONDS", 0.0)
    (batch,) = wide().plan().batches
    assert batch.program.layout.places == 1
    alone = wide().run()
    for name in whole[1].data_vars:
        np.testing.assert_allclose(alone[name].values, whole[1][name].values, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(alone.status, whole[1].status)


def test_neither_place_nor_companions_change_a_bit(whole):
    """The last seed alone, first in its launch, has the bits that it had as the fifth of five."""
    xr.testing.assert_equal(wide().run(seed=[4]), whole[1].sel(seed=[4]))


@pytest.mark.parametrize("segment", [7.0, 100.0])
def test_segments_change_no_bit(whole, segment):
    xr.testing.assert_equal(wide().run(segment=segment), whole[1])


def test_a_value_with_two_blocks_is_drawn_once(whole):
    many = wide(2, [float(s) for s in np.linspace(0.1, 2.0, 70)])
    (batch,) = many.plan().batches
    launch = batch.arranged(list(range(140)))
    assert launch.firsts == [0, 70] and list(launch.which[:5]) == [0, 0, 1, 1, -1]
    both = many.run()
    np.testing.assert_array_equal(both.norm.sel(scale=0.1), whole[1].norm.sel(scale=0.1, seed=[0, 1]))


def test_more_seeds_are_new_tiles_and_computed_alone(whole, tmp_path):
    wide(3).run(out=tmp_path)
    before = {name: Store(tmp_path).path(name).read_bytes() for name in Store(tmp_path).names()}
    plan = wide(5).plan(store=Store(tmp_path))
    assert (plan.runs, plan.missing) == (200, 80)
    xr.testing.assert_equal(wide(5).run(out=tmp_path), whole[1])
    assert all(Store(tmp_path).path(name).read_bytes() == data for name, data in before.items())


def test_workers_that_miss_other_runs_cut_alike():
    """Of 40 seeds, 16 a tile: where the first tile is there, the others have the names that they have without it."""
    (batch,) = (plan := wide(40).plan()).batches
    every = [plan.tile_id(batch, runs) for runs in batch.tiles()]
    assert len(every) == 3
    batch.missing = list(range(16 * 40, 40 * 40))
    assert [plan.tile_id(batch, runs) for runs in batch.tiles()] == every[1:]


def test_many_long_runs_make_no_more_tiles_than_there_are_workers(monkeypatch):
    monkeypatch.setattr(planning, "LAUNCH_SECONDS", 0.0)
    monkeypatch.setattr(batches, "TILE_SECONDS", 0.0)
    monkeypatch.setattr(batches, "MANY_TILES", 4)
    assert [len(list(wide(seeds).plan().batches[0].tiles())) for seeds in (3, 4, 5, 30)] == [3, 4, 3, 4]


def test_the_log_says_how_long_all_launches_of_a_tile_took(monkeypatch, tmp_path):
    """By it `plan` foretells what is left."""
    ran = execution._run_piece
    monkeypatch.setattr(planning, "LAUNCH_SECONDS", 0.0)
    monkeypatch.setattr(execution, "_run_piece", lambda *a: time.sleep(0.1) or ran(*a))
    wide(5).run(out=tmp_path)
    (event,) = [e for e in Journal(Store(tmp_path)).latest() if e["event"] == "tile"]
    assert event["runs"] == 200 and event["seconds"] >= 0.5


def test_requirements_are_asked_of_every_run_of_a_launch():
    bad = wide(3, [*SCALES[:-1], float("nan")])
    with pytest.raises(ib.Mistake, match=r"seed=0, scale=nan"):
        bad.plan()


def test_a_user_who_gives_a_width_has_a_tile_a_seed(tmp_path):
    wide(3).run(out=tmp_path, width=64, devices=jax.local_devices()[:1])
    assert len(Store(tmp_path).names()) == 3


@pytest.fixture
def side_by_side(monkeypatch):
    """What a GPU runs, on this CPU."""
    for module in (_lanes, engine, layouts, planning):
        monkeypatch.setattr(module, "on_cpu", lambda: False)


def test_side_by_side_the_numbers_are_the_same(whole, side_by_side, tmp_path):
    (batch,) = wide().plan().batches
    layout = batch.program.layout
    assert (layout.width, layout.mixed) == (64, False) and layout.places * 64 >= planning.FEWEST
    there = wide().run(out=tmp_path)
    for name in whole[1].data_vars:
        np.testing.assert_allclose(there[name].values, whole[1][name].values, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(there.steps, whole[1].steps)
    xr.testing.assert_equal(wide().run(out=tmp_path, seed=range(5), segment=100.0), there)


def test_side_by_side_with_a_stop_rule(side_by_side):
    settings = dict(stop=1e-6, step=5e-2, seed=range(3), scale=SCALES[::4])
    here = wide().run(**settings)
    with pytest.MonkeyPatch.context() as patch:
        for module in (_lanes, engine, layouts, planning):
            patch.setattr(module, "on_cpu", lambda: True)
        expected = wide().run(**settings)
    np.testing.assert_array_equal(here.steps, expected.steps)
    np.testing.assert_array_equal(here.status, expected.status)
    np.testing.assert_allclose(here.x, expected.x, rtol=0, atol=1e-12)


def test_lanes_side_by_side_fill_what_a_gpu_holds(side_by_side):
    """By bytes: 2^25 of state and outputs; a power of two of blocks, each as wide as a seed has lanes, up to 64."""
    for scales, width in ((SCALES[:3], 4), (SCALES, 64)):
        program = wide(2, scales).plan().batches[0].program
        held = sum(s.size * s.dtype.itemsize for s in jax.tree.leaves((program.shapes["advance"][2], program.outputs)))
        assert program.layout.width == width
        assert planning.TOGETHER_BYTES / 2 < held <= planning.TOGETHER_BYTES
