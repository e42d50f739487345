r"""A function of each run's own arrays, for all runs at once.

>>> import numpy as np, xarray as xr
>>> ds = xr.Dataset({"status": ("seed", [1, 1]), "A": (("seed", "A_0", "A_1"), np.ones((2, 2, 3)))})
>>> over_runs(ds, lambda A: np.linalg.norm(A, axis=(-2, -1)), ds.A).round(3).values.tolist()
[2.449, 2.449]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._lazy import lazy

xr = lazy("xarray")


def along(ds: xr.Dataset, axis: str, function: Callable[[xr.Dataset, float], xr.DataArray]) -> xr.DataArray:
    """function(ds at one value of an axis, that value) for every value, side by side: shapes may hang on it.

    Single runs carry their value as a number of their own: those of one value are looked at together.

    >>> import numpy as np, xarray as xr
    >>> ds = xr.Dataset({"x": ("point", [1.0, 2.0, 3.0])}, {"depth": ("point", [3.0, 2.0, 3.0])})
    >>> along(ds, "depth", lambda at, depth: at.x * depth).values.tolist()
    [3.0, 4.0, 9.0]
    """
    if axis in ds.dims:
        return xr.concat([function(ds.sel({axis: value}), float(value)) for value in ds[axis].values], ds[axis])
    values, (own,) = ds[axis].values, ds[axis].dims
    places = [np.flatnonzero(values == value) for value in np.unique(values)]
    parts = [function(ds.isel({own: at}), float(values[at[0]])) for at in places]
    return xr.concat(parts, own).isel({own: np.argsort(np.concatenate(places))})


def over_runs(
    ds: xr.Dataset, function: Callable, *variables: Any, out: int = 0, one_by_one: bool = False
) -> xr.DataArray:
    """`function` sees the inner axes last, those of the runs (and records) in front, and returns `out` inner axes.

    With `one_by_one` it sees one run at a time, of those axes that the variables depend on.
    """

    def outer(variable: xr.DataArray) -> list[str]:
        return [d for d in variable.dims if d in (*ds["status"].dims, "record")]

    variables = [v if isinstance(v, xr.DataArray) else xr.DataArray(np.asarray(v, dtype=float)) for v in variables]
    # Inner axes are told apart by place: what comes out may be longer than what went in by the same name.
    variables = [v.rename({d: f"in{j}_{d}" for d in v.dims if d not in outer(v)}) for j, v in enumerate(variables)]
    return xr.apply_ufunc(
        function,
        *variables,
        input_core_dims=[[d for d in v.dims if d not in outer(v)] for v in variables],
        output_core_dims=[[f"of_{i}" for i in range(out)]],
        vectorize=one_by_one,
    )
