"""Identity = (program, block shape, fingerprint): under it, nothing else changes a run's bits."""

import subprocess
import sys

import jax
import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.sweep.work import deal
from implicit_bias.sweep.work import execute as execution
from implicit_bias.sweep.keep.store import Store, encode

from tests.compiled import QUICK, shipped_environment

from .laboratory import STEPS, study

pytestmark = pytest.mark.usefixtures("as_shipped")
WIDTH = 8


def tiles(folder):
    return {p.name: p.read_bytes() for p in sorted((folder / "tiles").iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, as_shipped):
    """An uninterrupted sweep on one device: (folder, dataset)."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, study().run(out=folder, width=WIDTH, devices=jax.local_devices()[:1])


@pytest.mark.parametrize("segment", [7.0, 37.0])
def test_a_segmented_sweep_has_the_bytes_of_a_whole_one(whole, tmp_path, segment):
    study().run(out=tmp_path, width=WIDTH, segment=segment)
    assert tiles(tmp_path) == tiles(whole[0])


@pytest.mark.slow
def test_two_devices_have_the_bytes_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(deal, "WORTH_COMPILING", 0.0)  # even a small program runs on both
    used = set()
    ran = execution._run_piece
    monkeypatch.setattr(execution, "_run_piece", lambda *a: used.add(a[3]) or ran(*a))
    assert len(jax.local_devices()) >= 2
    study().run(out=tmp_path, width=2, devices=jax.local_devices()[:2])
    study().run(out=tmp_path / "one", width=2, devices=jax.local_devices()[:1])
    assert len(used) == 2
    assert tiles(tmp_path) == tiles(tmp_path / "one")


@pytest.mark.slow
def test_a_sweep_that_was_killed_and_resumed_has_the_bytes_of_an_uninterrupted_one(whole, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    ran, calls = execution._run_piece, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) > 1:
            raise Killed
        return ran(*arguments)

    monkeypatch.setattr(execution, "_run_piece", killed)
    with pytest.raises(Killed):
        study().run(out=tmp_path, width=WIDTH)
    monkeypatch.undo()
    kept = tiles(tmp_path)
    assert 0 < len(kept) < len(tiles(whole[0]))
    done = []
    study().run(out=tmp_path, width=WIDTH, tell=done.append)
    assert done[-1].runs_total == 24 - 8 * len(kept)
    assert tiles(tmp_path) == tiles(whole[0])


@pytest.mark.slow
def test_an_extended_sweep_has_the_bytes_of_one_from_scratch_and_computes_only_what_is_new(whole, tmp_path):
    study().run(out=tmp_path, width=WIDTH, seed=range(2))
    plan = study().plan(store=Store(tmp_path), width=WIDTH)
    assert (plan.runs, plan.missing) == (24, 8)
    study().run(out=tmp_path, width=WIDTH)
    assert tiles(tmp_path) == tiles(whole[0])


@pytest.mark.slow
def test_a_grid_grows_along_a_lane_axis_too(whole, tmp_path):
    """The tiles differ (they hold other sets of runs), the runs do not."""
    study().run(out=tmp_path, width=WIDTH, scale=[0.1, 2.0])
    plan = study().plan(store=Store(tmp_path), width=WIDTH)
    assert (plan.runs, plan.missing) == (24, 12)
    xr.testing.assert_identical(study().run(out=tmp_path, width=WIDTH), whole[1])


@pytest.mark.slow
def test_position_and_companions_change_no_bit(whole):
    """One run alone, padded with itself, is the run it was among seven others."""
    alone = study().run(width=WIDTH, seed=[1], scale=[2.0], ratio=[0.5])
    for name in ("norm", "x", "log_invariant", "loss", "steps", "time", "status"):
        among = whole[1][name].sel(seed=[1], scale=[2.0], ratio=[0.5])
        np.testing.assert_array_equal(alone[name].values, among.values, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [0.0, 1e-8], ids=["fixed steps", "stop rule"])
def test_a_run_that_overflows_is_a_status_and_leaves_the_other_lanes_bits_alone(stop):
    steps = [1e-2, 1e3]
    asked = dict(width=WIDTH, seed=range(2), stop=stop, ratio=1.0, method="gd")
    both = study().run(**asked, step=steps)
    assert (both.status.sel(step=1e3) == ib.Status.DIVERGED).all()
    assert (both.status.sel(step=1e-2) != ib.Status.DIVERGED).all()
    # the same program (step is an axis), without the companions that overflow
    calm = study().run(**asked, step=[1e-2, 2e-2])
    for name in ("norm", "x", "loss", "steps"):
        np.testing.assert_array_equal(both[name].sel(step=1e-2).values, calm[name].sel(step=1e-2).values)


@pytest.mark.slow
def test_lanes_that_mix_seeds_agree_with_lanes_that_share_one():
    """Another program, so equal to rounding, not to the bit."""
    shared = study().run(width=4, seed=range(2))
    mixed = study().run(width=64, seed=range(2))
    np.testing.assert_allclose(mixed.norm.values, shared.norm.values, rtol=1e-12)
    np.testing.assert_array_equal(mixed.steps.values, shared.steps.values)


@pytest.mark.slow
def test_every_output_of_a_block_feeds_a_second_jit_correctly():
    """A constrained layout that leaves a jitted function would give wrong numbers in the next operation."""
    plan = study().plan(width=WIDTH)
    (batch,) = plan.batches
    device = jax.local_devices()[0]
    with jax.enable_x64(True):
        first = batch.program.first([np.asarray(1)], device)
        values = [np.repeat([0.1, 0.5, 1.0, 2.0], 2), np.tile([0.5, 1.0], 4)]
        outputs, holds = batch.program.launch(first, values, device)
        assert holds.all()
        again = jax.jit(lambda tree: jax.tree.map(lambda x: x + 0, tree))(outputs)
        summed = jax.jit(lambda tree: jax.tree.map(lambda x: x.reshape(8, -1).astype(float).sum(1), tree))(outputs)
    for name, array in outputs.items():
        host = np.asarray(array)
        np.testing.assert_array_equal(np.asarray(again[name]), host)
        # the sum of at most STEPS-scale numbers in another order: a few ulp of the largest
        np.testing.assert_allclose(np.asarray(summed[name]), host.reshape(8, -1).astype(float).sum(1), rtol=1e-13)


@pytest.mark.slow
def test_one_trace_serves_every_value_of_the_traced_axes():
    """New values of scale, ratio, step and seed: the same program."""
    one = study().plan({"seed": [0], "scale": [0.3, 0.4], "ratio": [0.7]}, width=4).batches[0].program.identity
    two = study().plan({"seed": [5, 6], "scale": [9.0, 8.0], "ratio": [2.0]}, width=4).batches[0].program.identity
    assert one == two


def test_a_tile_is_encoded_the_same_way_twice(whole):
    store = Store(whole[0])
    for name in store.names():
        assert encode(store.read(name)) == store.path(name).read_bytes()


def test_records_steps_and_clock_are_those_asked_for(whole):
    data = whole[1]
    assert data.clock.values.tolist() == [0, 1, 6, 39, STEPS]
    assert (data.steps == STEPS).all() and (data.status == ib.Status.CAPPED).all()
    np.testing.assert_allclose(data.time, 2e-2 * STEPS, rtol=1e-15)
    assert data.g_star.dims == ("seed",) and data.w_perp.dims == ("seed",)
    np.testing.assert_allclose(data.g_star, 2.0, rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(data.x, axis=-1), data.norm, rtol=1e-13)


NORMS = """import sys
import subprocess
import sys

import jax

jax.config.update("jax_enable_x64", True)
from tests.sweep.laboratory import study
sys.stdout.write(study().run(width=8).norm.values.tobytes().hex())"""


@pytest.mark.slow
def test_what_is_compiled_here_is_what_a_user_gets(whole):
    """The bytes are those of a process that asks XLA for nothing; and quick programs have others."""
    of = {}
    for name, environment in (("user", shipped_environment()), ("quick", {**shipped_environment(), "XLA_FLAGS": " ".join(QUICK)})):
        done = subprocess.run([sys.executable, "-c", NORMS], env=environment, capture_output=True, text=True, check=True)
        of[name] = bytes.fromhex(done.stdout)
    assert whole[1].norm.values.tobytes() == of["user"] != of["quick"]
