"""Words for claims on many runs at once: those that ended well, the best of an axis, one number a seed.

>>> import numpy as np, xarray as xr
>>> status = xr.DataArray([[1, 1, 3], [1, 2, 1]], dims=("seed", "step"), coords={"seed": [0, 1], "step": [0.1, 0.2, 0.4]})
>>> ds = xr.Dataset({"status": status, "error": 0 * status + status.step * 10})
>>> kept = accepted(ds, ds.error)
>>> by_seed(best_of(kept, "step")).values.tolist(), by_seed(best_of(kept, "step", largest=True)).values.tolist()
([1.0, 1.0], [2.0, 4.0])
"""

from __future__ import annotations

from collections.abc import Sequence

from .._errors import Mistake
from .._lazy import lazy
from .._results import Status

xr = lazy("xarray")

HOW = ("mean", "max", "min", "median")


def accepted(ds: xr.Dataset, value: xr.DataArray, statuses: Sequence[Status] = (Status.CONVERGED,)) -> xr.DataArray:
    """The value of the runs that ended so; nan of the others."""
    return value.where(ds["status"].isin([int(s) for s in statuses]))


def best_of(value: xr.DataArray, axis: str, largest: bool = False) -> xr.DataArray:
    """The least (or largest) value along an axis, within what was run; nan where there is none."""
    return value.max(axis) if largest else value.min(axis)


def by_seed(value: xr.DataArray, how: str = "mean") -> xr.DataArray:
    """One number a seed, of all its numbers that are not nan."""
    if how not in HOW:
        raise Mistake("how", f"{how!r} is no way to make one number of many", f"give one of {', '.join(HOW)}")
    if "seed" not in value.dims:
        raise Mistake("by_seed", f"there is no axis `seed` among {', '.join(value.dims) or 'none'}", "leave it out")
    return getattr(value, how)([d for d in value.dims if d != "seed"])
