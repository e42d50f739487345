"""Predictions: a formula for one run, asked once for each different set of its numbers, beside the measurement."""

from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.predictions import with_predictions

RNG = np.random.default_rng(0)


def results(**more):
    status = xr.DataArray(np.ones((2, 3), int), dims=("seed", "scale"), coords={"scale": [0.5, 1.0, 2.0]})
    ds = xr.Dataset({"status": status, "A": (("seed", "A_0", "A_1"), RNG.standard_normal((2, 4, 3)))})
    return ds.assign(x=(("seed", "scale", "record", "x_0"), RNG.standard_normal((2, 3, 5, 3))), **more)


def test_one_by_one_and_all_at_once_are_the_same():
    """A x for every run and record: A hangs on the seed, x on both axes."""
    ds = results()
    expected = np.einsum("smn,scrn->scrm", ds.A, ds.x)
    single = with_predictions(ds, {"Ax": lambda A, x: x @ A.T}).Ax
    whole = with_predictions(ds, {"Ax": ib.batched(lambda A, x: np.einsum("...mn,...rn->...rm", A, x))}).Ax
    for found in (single, whole):
        assert found.dims == ("seed", "scale", "record", "Ax_0")
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_number_of_each_run_is_not_paired_with_another_axis_of_it():
    """3 scales, 3 records: NumPy would multiply record k by scale k and say nothing."""
    ds = results().drop_vars("x").assign(loss=(("seed", "scale", "record"), RNG.uniform(size=(2, 3, 3))))
    with pytest.raises(ib.Mistake, match="other numbers of all runs than of one"):
        with_predictions(ds, {"wrong": ib.batched(lambda scale, loss: scale * loss)})
    right = with_predictions(ds, {"right": ib.batched(lambda scale, loss: scale[..., None] * loss)}).right
    np.testing.assert_allclose(right, ds.loss * ds.scale)


def test_what_hangs_on_the_seed_is_asked_once_a_seed():
    asked = []

    def size(A):
        asked.append(A)
        return np.linalg.norm(A)

    found = with_predictions(results(), {"size": size})
    assert len(asked) == 2 and found["size"].dims == ("seed",)


def test_a_run_that_is_not_there_is_not_asked():
    status = np.ones((2, 3), int)
    status[0, 1] = -1
    ds = results().assign(status=(("seed", "scale"), status))
    found = with_predictions(ds, {"twice": lambda scale, A: 2 * scale})["twice"]
    np.testing.assert_array_equal(found, [[1, np.nan, 4], [1, 2, 4]])


def test_parts_have_names_and_later_ones_may_use_them():
    class Certified(NamedTuple):
        value: float
        gap: float

    found = with_predictions(
        results(), {"least": lambda A: Certified(float(A.sum()), 0.25), "above": lambda least_value, scale: least_value + scale}
    )
    assert float(found.least_gap[0]) == 0.25
    np.testing.assert_allclose(found.above, found.A.sum(["A_0", "A_1"]) + found.scale)


def test_a_name_that_is_nowhere_is_one_line_with_the_nearest():
    with pytest.raises(ib.Mistake, match="law needs 'scael', which no grid has.*scale"):
        with_predictions(results(), {"law": lambda scael: scael})
    with pytest.raises(ib.Mistake, match="law stopped on ZeroDivisionError"):
        with_predictions(results(), {"law": lambda A: 1 / 0})


def test_what_a_run_does_not_have_is_nan_and_no_warning():
    """Warnings are errors here: 0/0 of a run that started at 0, or escaped, is the number that it does not have."""
    found = with_predictions(results(), {"none": lambda A: np.sum(0 * A) / np.sum(0 * A), "far": ib.batched(lambda scale: scale / 0)})
    assert found.none.isnull().all() and np.isinf(found.far).all()


def test_of_several_grids_those_that_have_the_numbers_get_it():
    tree = xr.DataTree.from_dict({"one": results(), "two": results().drop_vars("A")})
    found = with_predictions(tree, {"size": lambda A: np.linalg.norm(A)})
    assert "size" in found["one"] and "size" not in found["two"]


@pytest.mark.slow
def test_a_study_predicts_and_a_formula_is_corrected_without_a_run(tmp_path):
    import dataclasses

    def cell(*, scale, key):
        return ib.Run(ib.linear.gaussian(2, 4)(key), ib.Euclidean(scale), ib.Descent(0.1, max_steps=3))

    study = ib.Study(
        cell=cell, grids=ib.grid(seed=range(2), scale=[0.5, 1.0]), facts={"A": ib.operator},
        predict={"size": lambda A, scale: scale * np.linalg.norm(A)},
    )  # fmt: skip
    first = study.run(out=tmp_path)
    expected = np.sqrt((first.A**2).sum(["A_0", "A_1"])) * first.scale
    np.testing.assert_allclose(first["size"], expected)
    corrected = dataclasses.replace(study, predict={"size": lambda A, scale: 2 * scale * np.linalg.norm(A)})
    told = []
    again = corrected.run(out=tmp_path, tell=told.append)
    np.testing.assert_array_equal(again["size"], 2 * first["size"])
    assert not told
    with pytest.raises(ib.Mistake, match="predict: has one called 'scale'"):
        dataclasses.replace(study, predict={"scale": lambda A: A})
