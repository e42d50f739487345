"""Layers of diagonal networks and data as facts; a rewritten run has the user's data all the same."""

import jax
import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.runs import over_runs
from tests import cases


def test_layer_size_and_data():
    problem = ib.linear.sparse(3, 7, 2)(1)
    run = cases.prepared(problem, ib.Power(ib.Polar(1.5), 2, signed=True), ib.Descent(0.1))
    start = cases.start_of(run)
    np.testing.assert_allclose(ib.layer(start), np.full(14, 1.5 / np.sqrt(14)), rtol=1e-14)
    assert float(ib.layer_size(start)) == pytest.approx(1.5)
    np.testing.assert_array_equal(ib.operator(start), problem.operator)
    np.testing.assert_array_equal(ib.target(start), problem.target)


def test_the_data_of_a_rewritten_run_are_the_users():
    problem = cases.problem_of(ib.square)
    run = cases.prepared(problem, ib.Polar(1.0), ib.Descent(0.1))
    assert sum(np.size(x) for x in jax.tree.leaves(run.theta)) == 3 + 3  # the run itself: m + 2 numbers of w, and g
    start = cases.start_of(run)
    np.testing.assert_array_equal(ib.operator(start), problem.operator)
    np.testing.assert_array_equal(ib.target(start), problem.target)


def test_a_function_of_each_run():
    """Batched or one by one: A x for every run, where A depends on the seed alone and x on both axes."""
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 5, 3))
    ds = xr.Dataset(
        {
            "status": (("seed", "scale"), np.ones((2, 5))),
            "A": (("seed", "A_0", "A_1"), A),
            "x": (("seed", "scale", "x_0"), x),
        }
    )
    expected = np.einsum("imn,isn->ism", A, x)
    batched = over_runs(ds, lambda A, x: np.einsum("...mn,...n->...m", A, x), ds.A, ds.x, out=1)
    single = over_runs(ds, lambda A, x: A @ x, ds.A, ds.x, out=1, one_by_one=True)
    for found in (batched, single):
        np.testing.assert_allclose(found.transpose("seed", "scale", "of_0"), expected, rtol=1e-13)
    once = over_runs(ds, lambda A: np.linalg.norm(A), ds.A, one_by_one=True)
    assert once.dims == ("seed",)
