"""The clock of a grid's records, as a coordinate that selects: by step under descent, by time t under flow.

    ds.norm.sel(clock=100)                          # the record at step 100, where there is one
    ds.norm.sel(clock=70.0, method="nearest")       # the record nearest to t = 70; "ffill" takes the last before it
    ds.norm.sel(clock=slice(10, 1000))              # the records between
    ib.at_clock(data, 70.0, method="nearest")       # of all grids of a union, or where runs have clocks of their own

A run that has ended stands still, here as everywhere: at a later moment it has its last state, and `ds.steps` and
`ds.time` say when it ended. `record` counts the records and stays the dimension, so `isel(record=-1)` is the end. Two
arrays of records are paired by their number and not by their moments. Of xarray's own, `to_dataframe()` leaves an indexed
coordinate out (`drop_indexes("clock")` first, or `ib.to_dataframe`), and `stack` calls the records by it.

>>> import numpy as np, xarray as xr
>>> ds = with_clock(xr.Dataset({"x": ("record", [1.0, 3.0, 9.0])}, {"clock": ("record", [0.0, 1.0, 10.0])}))
>>> float(ds.x.sel(clock=10)), float(ds.x.sel(clock=4, method="nearest"))
(9.0, 3.0)
>>> change = ds.x.isel(record=slice(1, None)) - ds.x.isel(record=slice(None, -1))
>>> change.values.tolist(), change.clock.values.tolist()  # of two moments, which is none
([2.0, 6.0], [nan, nan])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from xarray.indexes import PandasIndex

from ..._errors import Mistake

RECORD, CLOCK = "record", "clock"
ROUNDING = 1e-9
"""Relative distance at which a moment is that of a record: 0.1 finds what 1000 shares of 1e-4 add up to."""

Data = TypeVar("Data", xr.Dataset, xr.DataArray, xr.DataTree)


class Clock(PandasIndex):
    """Selects records by their moments, and pairs those of two arrays by their number, as without an index."""

    def sel(self, labels: dict[Any, Any], method: str | None = None, tolerance: Any = None) -> Any:
        try:
            return super().sel(labels, method=method, tolerance=tolerance)
        except KeyError:
            (label,) = labels.values()
            if method is None and tolerance is None and not isinstance(label, slice):
                close = ROUNDING * float(np.max(np.abs(np.asarray(label, dtype=float)), initial=0.0))
                try:
                    return super().sel(labels, method="nearest", tolerance=close)
                except KeyError:
                    pass
            raise KeyError(_no_record(label, self.index.values)) from None

    def join(self, other: Clock, how: str = "inner") -> Clock:
        mine, theirs = self.index.values, other.index.values
        if mine.shape != theirs.shape:
            raise ValueError(f"{mine.size} records and {theirs.size} cannot be paired: choose them with isel or sel")
        if how in ("left", "right"):
            return self if how == "left" else other
        return self._replace(type(self.index)(np.where(mine == theirs, mine, np.nan), name=self.index.name))

    def reindex_like(self, other: Clock, method: str | None = None, tolerance: Any = None) -> dict[Any, Any]:
        del method, tolerance
        if len(self.index) != len(other.index):
            raise ValueError(f"{len(self.index)} records and {len(other.index)} cannot be paired")
        return {self.dim: np.arange(len(other.index))}


def _no_record(label: Any, moments: np.ndarray) -> str:
    few = [f"{m:g}" for m in moments]
    few = few if len(few) <= 8 else [*few[:4], "...", *few[-3:]]
    return f"no record at clock={label}: they are at {', '.join(few)}; method='nearest' takes the nearest"


def with_clock(data: Any) -> Any:
    """The results with a clock that selects, where all runs have one and its moments ascend."""
    if CLOCK not in data.coords or data[CLOCK].dims != (RECORD,):
        return data
    moments = data[CLOCK].values
    ascends = bool((np.diff(moments) > 0).all())
    return data.drop_indexes(CLOCK, errors="ignore").set_xindex(CLOCK, Clock) if ascends else data


def common(clock: np.ndarray, dims: list[str]) -> tuple[list[str], np.ndarray]:
    """A clock without the axes along which it does not vary: only there has each run one of its own."""
    for axis in [d for d in dims if d != RECORD]:
        place = dims.index(axis)
        rows = np.moveaxis(clock, place, 0)
        known = rows[~np.isnan(rows).all(axis=tuple(range(1, rows.ndim)))]  # of what is not computed there is no clock
        first = known[0] if len(known) else rows[0]
        if np.array_equal(known, np.broadcast_to(first, known.shape), equal_nan=True):
            clock, dims = first, [d for d in dims if d != axis]
    return dims, clock


def at_clock(data: Data, moment: float, method: str | None = None, tolerance: float | None = None) -> Data:
    """Results at a moment of the clock: a step under descent, a time under flow; of a tree, each grid by its own.

    `method` is xarray's: None wants a record at that very moment, "nearest" takes the nearest one, "ffill" the last before
    it, "bfill" the first after it, none farther away than `tolerance`. A run that has ended has its last state there.

    >>> import xarray as xr
    >>> clock = (("step", "record"), [[0.0, 5.0, 10.0], [0.0, 50.0, 100.0]])
    >>> ds = xr.Dataset({"x": (("step", "record"), [[1, 2, 3], [4, 5, 6]])}, {"clock": clock, "step": [0.1, 0.01]})
    >>> at = at_clock(ds, 8, method="nearest")
    >>> at.x.values.tolist(), at.clock.values.tolist()
    ([3, 4], [10.0, 0.0])
    """
    if isinstance(data, xr.DataTree):
        return data.map_over_datasets(lambda ds: at_clock(ds, moment, method, tolerance) if CLOCK in ds.coords else ds)
    if CLOCK not in data.coords or RECORD not in data[CLOCK].dims:
        raise Mistake("clock", "these results have no records to choose from", "give results with all records")
    if isinstance(data.xindexes.get(CLOCK), Clock):
        return data.sel({CLOCK: moment}, method=method, tolerance=tolerance)
    clock = data[CLOCK].transpose(..., RECORD).reset_coords(drop=True)
    rows = clock.values.reshape(-1, clock.sizes[RECORD])
    places = [_place(row, moment, method, tolerance) for row in rows]
    return data.isel({RECORD: clock.isel({RECORD: 0}, drop=True).copy(data=np.reshape(places, clock.shape[:-1]))})


def _place(row: np.ndarray, moment: float, method: str | None, tolerance: float | None) -> int:
    """The record of a run's own clock, the first of equal ones; any, of a run that is not computed: its clock is nan."""
    moments, first = np.unique(row[~np.isnan(row)], return_index=True)
    if not moments.size:
        return 0
    found: Mapping[Any, Any] = Clock(moments, RECORD).sel({CLOCK: moment}, method, tolerance).dim_indexers
    return int(first[int(found[RECORD])])
