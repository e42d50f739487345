"""Runs that are no evidence: those that were lost on the way, and where; those that are one run counted again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from .._lazy import lazy
from .._results import Status

if TYPE_CHECKING:
    from .kinds import Seen

xr = lazy("xarray")


def lost_runs(inside: xr.DataArray, tested: xr.DataArray, status: xr.DataArray, accepted: xr.DataArray) -> str:
    """How many of the runs inside were not tested, how they ended, and where most of them lie.

    >>> import numpy as np, xarray as xr
    >>> inside = xr.DataArray(np.ones((2, 3), bool), dims=("seed", "c"), coords={"seed": [0, 1], "c": [0.03, 0.1, 1.0]})
    >>> ended = xr.where(inside.c == 0.03, 2, 1) * xr.ones_like(inside, dtype=int)
    >>> lost_runs(inside, ended == 1, ended, ended == 1)
    '2 of 6 inside lost: 2 capped; 2 of them at c=0.03 (2 of 2 there)'
    """
    lost = inside & ~tested
    count = int(lost.sum())
    said = f"{count:,} of {int(inside.sum()):,} inside lost"
    if set(status.dims) == set(inside.dims):
        ended = status.transpose(*inside.dims).values[(lost & ~accepted).transpose(*inside.dims).values]
        ends = Counter(Status(int(s)).label for s in ended)
    else:  # of seeds that are judged as a whole, the runs that the claim does not accept
        ends = Counter({"not accepted": int((lost & ~accepted).sum())})
    ends["undefined"] = int((lost & accepted).sum())
    said += ": " + ", ".join(f"{n:,} {end}" for end, n in ends.most_common() if n)
    return said + _where(inside, lost)


def _where(inside: xr.DataArray, lost: xr.DataArray) -> str:
    """The value of an axis that carries most of the lost runs, if it carries more of them than of all runs."""
    total, best = int(lost.sum()), None
    for axis in inside.dims:
        others = [d for d in inside.dims if d != axis]
        there, of = lost.sum(others).values, inside.sum(others).values
        place = int(there.argmax())
        excess = there[place] / total - of[place] / int(inside.sum())
        if axis in inside.coords and there[place] >= 2 and excess > 0.2 and (best is None or excess > best[0]):
            best = (excess, axis, inside[axis].values[place], int(there[place]), int(of[place]))
    if best is None:
        return ""
    _, axis, value, there, of = best
    return f"; {there:,} of them at {axis}={_word(value)} ({there:,} of {of:,} there)"


def _word(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else f"{value}"


def is_short(inside: xr.DataArray, tested: xr.DataArray, share: float, axis: str | None) -> str:
    """Why too few of the runs inside are tested; empty where they are enough, at each value of `axis` too."""
    found = float(tested.sum() / inside.sum())
    if found < share:
        return f"{found:.0%} of the runs inside are tested, of {share:.0%} that it needs"
    if axis is None or axis not in inside.dims:
        return ""
    others = [d for d in inside.dims if d != axis]
    of = inside.sum(others)
    there = (tested.sum(others) / of).where(of > 0)
    if float(there.min()) >= share:
        return ""
    at = _word(there[axis].values[int(np.nanargmin(there.values))])
    return f"{float(there.min()):.0%} of the runs inside are tested at {axis}={at}, of {share:.0%} that it needs"


def distinct(ds: xr.Dataset, runs: Seen) -> tuple[int, int]:
    """(runs, numbers): tested runs whose last records differ in a bit, and different pairs of residual and tolerance."""
    dims = runs.tested.dims
    numbers = np.stack([runs.residual.values.ravel(), runs.tolerance.values.ravel()], -1)
    tested = runs.tested.values.ravel()
    columns = [numbers]
    for variable in ds.data_vars.values():
        if set(dims) <= set(variable.dims) and variable.dtype.kind in "fiub":
            last = variable.isel(record=-1) if "record" in variable.dims else variable
            columns.append(last.transpose(*dims, ...).values.reshape(tested.size, -1))
    rows = {b"".join(column[i].tobytes() for column in columns) for i in np.flatnonzero(tested)}
    return len(rows), len({numbers[i].tobytes() for i in np.flatnonzero(tested)})
