"""Certified reference solutions of the problems in a dataset, whose facts `operator` and `target` are A and y."""

from __future__ import annotations

import numpy as np

from .._lazy import lazy
from ..problems.certified import Certified, min_l1, min_norm_separator
from .runs import over_runs

xr = lazy("xarray")


def _value_and_doubt(found: Certified, value: float) -> np.ndarray:
    return np.array([value, max(abs(found.gap), found.residual)])


def least_l1(ds: xr.Dataset, nonnegative: bool = False) -> tuple[xr.DataArray, xr.DataArray]:
    """min |x|_1 over A x = y (and x >= 0), and how far its certificate leaves it open; once a seed."""

    def solve(A, y):
        found = min_l1(A, y, nonnegative)
        return _value_and_doubt(found, found.value)

    found = over_runs(ds, solve, ds.operator, ds.target, out=1, one_by_one=True)
    return found.isel(of_0=0), found.isel(of_0=1)


def best_margin(ds: xr.Dataset, order: float) -> tuple[xr.DataArray, xr.DataArray]:
    """The largest l_order margin of rows y_i a_i, and how far its certificate leaves it open; once a seed."""

    def solve(A, y):
        found = min_norm_separator(y[:, None] * A, order)
        return _value_and_doubt(found, 1 / found.value)

    found = over_runs(ds, solve, ds.operator, ds.target, out=1, one_by_one=True)
    return found.isel(of_0=0), found.isel(of_0=1)
