r"""Reading curves: a value at a moment that each run has of its own, and what is added per factor e of an axis.

>>> import numpy as np, xarray as xr
>>> scale = xr.DataArray([1e-3, 1e-2, 1e-1], dims="scale", coords={"scale": [1e-3, 1e-2, 1e-1]})
>>> round(float(per_log(7 - 4 * np.log(scale), "scale")), 12)
-4.0
"""

from __future__ import annotations

import numpy as np

from .._lazy import lazy

xr = lazy("xarray")


def at_first(variable: xr.DataArray, clock: xr.DataArray, moment: xr.DataArray | float) -> xr.DataArray:
    """The value at the first record whose clock has reached the moment; nan if the run ended before."""
    reached = clock >= moment
    index = reached.argmax("record")
    value = variable.broadcast_like(reached).isel(record=index).drop_vars("record", errors="ignore")
    return value.where(reached.any("record"))


def first_moment(holds: xr.DataArray, clock: xr.DataArray) -> xr.DataArray:
    """The clock at the first record at which something holds; inf if it never does."""
    return clock.where(holds, np.inf).min("record")


def per_log(variable: xr.DataArray, axis: str) -> xr.DataArray:
    """The slope of `variable` against the logarithm of an axis, by least squares over where it is finite."""
    known = np.isfinite(variable)
    x = np.log(variable[axis]).where(known)
    y = variable.where(known)
    dx, dy = x - x.mean(axis), y - y.mean(axis)
    return (dx * dy).sum(axis) / (dx * dx).sum(axis)
