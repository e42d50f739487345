r"""Reading curves: values at the end or at a moment that each run has of its own, slopes, and slacks of words.

>>> import numpy as np, xarray as xr
>>> scale = xr.DataArray([1e-3, 1e-2, 1e-1], dims="scale", coords={"scale": [1e-3, 1e-2, 1e-1]})
>>> round(float(per_log(7 - 4 * np.log(scale), "scale")), 12)
-4.0
"""

from __future__ import annotations

import numpy as np

from .._lazy import lazy
from .runs import along, over_runs  # noqa: F401 - readers, too

xr = lazy("xarray")


def last(variable: xr.DataArray) -> xr.DataArray:
    """The last record."""
    return variable.isel(record=-1)


def at(variable: xr.DataArray, within: float = 1e-9, **places: object) -> xr.DataArray:
    """The values at one place of each axis that is named, to a relative `within`; nan where a request left it out.

    >>> import numpy as np, xarray as xr
    >>> x = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], {"method": ["gd", "wn"], "scale": [0.1, 1.0]}, ("method", "scale"))
    >>> at(x, method="wn", scale=0.1).item(), at(x, method="gd", scale=0.2).item(), at(x, method="rpgd").values.tolist()
    (3.0, nan, [nan, nan])
    """
    for axis, place in places.items():
        here = variable[axis]
        is_number = here.dtype.kind in "fiu" and not isinstance(place, str)
        same = abs(here - place) <= within * abs(place) if is_number else here.astype(str) == str(place)
        if axis in variable.dims:
            index = int(same.values.argmax())
            variable, same = variable.isel({axis: index}), same.isel({axis: index})
        variable = variable.drop_vars(axis).where(same.drop_vars(axis, errors="ignore"))
    return variable


def at_smallest(variable: xr.DataArray, axis: str) -> xr.DataArray:
    """The value at the smallest place of an axis."""
    return variable.isel({axis: int(variable[axis].values.argmin())}, drop=True)


def at_next(variable: xr.DataArray, axis: str, by: int = 1) -> xr.DataArray:
    """The values at the next larger place of an axis, with `by=-1` the next smaller; nan where there is none.

    Places may come in any order, and those that are words, like a width's, count as the numbers that they are.

    >>> import numpy as np, xarray as xr
    >>> x = xr.DataArray([1.0, 2.0, 3.0], {"width": ["64", "128", "16"]}, ("width",))
    >>> at_next(x, "width").values.tolist(), at_next(x, "width", by=-1).values.tolist()
    ([2.0, nan, 1.0], [3.0, 1.0, nan])
    """
    if axis not in variable.dims:
        return variable.where(False)
    order = np.argsort(variable[axis].values.astype(float), kind="stable")
    return variable.isel({axis: order}).shift({axis: -by}).isel({axis: np.argsort(order)})


def has_next(places: xr.DataArray, by: int = 1) -> xr.DataArray:
    """The slack of the runs that `at_next` compares with others: 1, and -1 at the end of the axis."""
    numbers = by * places.astype(float)
    return xr.where(numbers < numbers.max(), 1.0, -1.0)


def among(words: xr.DataArray, *names: object) -> xr.DataArray:
    """The slack of a hypothesis on an axis of words, or of whole numbers: 1 for the named ones, -1 for the others."""
    return xr.where(words.isin(names), 1.0, -1.0)


def at_first(variable: xr.DataArray, clock: xr.DataArray, moment: xr.DataArray | float) -> xr.DataArray:
    """The value at the first record whose clock has reached the moment; nan if the run ended before."""
    reached = clock >= moment
    index = reached.argmax("record")
    value = variable.broadcast_like(reached).isel(record=index).drop_vars(["record", "clock"], errors="ignore")
    return value.where(reached.any("record"))


def first_moment(holds: xr.DataArray, clock: xr.DataArray) -> xr.DataArray:
    """The clock at the first record at which something holds; inf if it never does."""
    return clock.where(holds, np.inf).min("record")


def slope(y: xr.DataArray, x: xr.DataArray, axis: str) -> xr.DataArray:
    """The slope of y against x along an axis, by least squares over where both are finite."""
    known = np.isfinite(y) & np.isfinite(x)
    x, y = x.where(known), y.where(known)
    dx, dy = x - x.mean(axis), y - y.mean(axis)
    return (dx * dy).sum(axis) / (dx * dx).sum(axis)


def per_log(variable: xr.DataArray, axis: str) -> xr.DataArray:
    """The slope of `variable` against the logarithm of an axis."""
    return slope(variable, np.log(variable[axis]), axis)


def log_exponent(ds: xr.Dataset, start: xr.DataArray | float) -> xr.DataArray:
    """The p of Loss t ~ (log t)^p: the slope of log(Loss t) against log log t, from log t = `start` on."""
    clock = ds.clock.where(ds.clock >= np.exp(start))
    return slope(np.log(ds.loss) + np.log(clock), np.log(np.log(clock)), "record")
