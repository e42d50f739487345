r"""What theory says of each run, computed from the run's own numbers and put beside the measurement under its own name.

    Study(..., predict={"limit_norm": f, "least_l1": g})

A prediction names what it needs as its parameters: axes, keywords of the cell, facts, observables, predictions above it.
It is written for one run, and called once for each different set of numbers: what hangs on the data alone is computed
once a seed. `batched` marks one that takes arrays, with the runs in front: closed forms of NumPy. A dict or a NamedTuple
becomes one variable for each of its parts, `name_part`.

Predictions are no part of a tile: a formula is corrected without running anything again.

>>> import numpy as np, xarray as xr
>>> status = xr.DataArray(np.ones((2, 3), int), dims=("seed", "scale"), coords={"scale": [1.0, 2.0, 3.0]})
>>> ds = xr.Dataset({"status": status, "A": (("seed", "A_0"), [[3.0, 4.0], [5.0, 12.0]])})
>>> seen = with_predictions(ds, {"size": lambda A: np.linalg.norm(A), "law": batched(lambda size, scale: size * scale)})
>>> seen.size.dims, seen["law"].values.tolist()
(('seed',), [[5.0, 10.0, 15.0], [13.0, 26.0, 39.0]])
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._errors import Mistake, message_of, nearest, one_line
from .._lazy import lazy
from .._results import Status

xr = lazy("xarray")


@dataclasses.dataclass(frozen=True)
class Batched:
    """A prediction of all runs at once."""

    function: Callable


def batched(function: Callable) -> Batched:
    """A prediction that takes all runs at once: arrays with the runs in front, a run's own axes behind."""
    return Batched(function)


def _function(prediction: Callable | Batched) -> Callable:
    return prediction.function if isinstance(prediction, Batched) else prediction


def needs(prediction: Callable | Batched) -> tuple[list[str], list[str]]:
    """The names that a prediction needs, and those that it takes where they are there."""
    parameters = inspect.signature(_function(prediction)).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return [p.name for p in named if p.default is p.empty], [p.name for p in named if p.default is not p.empty]


def with_predictions(data: Any, predict: Mapping[str, Callable | Batched]) -> Any:
    """The results with their predictions. One whose numbers a grid does not have is left out there."""
    if not predict:
        return data
    if isinstance(data, xr.DataTree):
        known = {name: node.to_dataset() for name, node in data.children.items()}
    else:
        known = {"": data}
    for name, prediction in predict.items():
        found = {grid: _predicted(ds, name, prediction) for grid, ds in known.items()}
        if all(f is None for f in found.values()):
            there = {str(v) for ds in known.values() for v in (*ds.coords, *ds.data_vars)}
            absent = [n for n in needs(prediction)[0] if n not in there]
            what = f"{absent[0]!r}, which no grid has" if absent else "numbers of several grids at once"
            raise Mistake("predict", f"{name} needs {what}", nearest((absent or [name])[0], sorted(there)))
        known = {grid: ds if found[grid] is None else ds.assign(found[grid]) for grid, ds in known.items()}
    if not isinstance(data, xr.DataTree):
        return known[""]
    return xr.DataTree.from_dict({"/": data.to_dataset(inherit=False), **known})


def _variable(ds: xr.Dataset, name: str) -> str | None:
    """What a parameter stands for: the variable of that name, or a part of an observable, `spectrum_top` for `spectrum.top`."""
    parts = (str(v) for v in (*ds.coords, *ds.data_vars))
    return next((v for v in sorted(parts, key=lambda v: v != name) if v.replace(".", "_") == name), None)


def _has(ds: xr.Dataset, name: str) -> bool:
    return _variable(ds, name) is not None


def _predicted(ds: xr.Dataset, name: str, prediction: Callable | Batched) -> dict[str, xr.DataArray] | None:
    required, optional = needs(prediction)
    if not all(_has(ds, n) for n in required):
        return None
    given = {n: ds[v].reset_coords(drop=True) for n in (*required, *optional) if (v := _variable(ds, n))}
    runs = [d for d in ds["status"].dims if any(d in v.dims for v in given.values())]
    try:
        find = _at_once if isinstance(prediction, Batched) else _one_by_one
        with np.errstate(divide="ignore", invalid="ignore"):  # of a run that has no such number: nan says so
            parts = find(ds, given, runs, prediction)
    except Mistake:
        raise
    except Exception as error:
        said = f"{name} stopped on {type(error).__name__}: {one_line(message_of(error))}"
        raise Mistake("predict", said, f"it is given {', '.join(given) or 'nothing'} of each run") from error
    recorded = any("record" in v.dims for v in given.values())
    said = (_function(prediction).__doc__ or "").strip().split("\n")[0]
    found = {}
    for part, values in parts.items():
        whole = f"{name}_{part}" if part else name
        inner = values.shape[len(runs) :]
        along = bool(recorded and inner and inner[0] == ds.sizes["record"])
        dims = [*runs, *["record"] * along, *[f"{whole}_{i}" for i in range(len(inner) - along)]]
        coords = {d: ds.coords[d] for d in runs if d in ds.coords}
        found[whole] = xr.DataArray(values, dims=dims, coords=coords, attrs={"definition": said or f"{whole}, predicted"})
    return found


def _parts(value: Any) -> dict[str, Any]:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return dict(value) if isinstance(value, Mapping) else {"": value}


def _arrays(given: Mapping[str, xr.DataArray], runs: list[str]) -> dict[str, tuple[list[str], np.ndarray]]:
    """Of each, the axes of runs that it has, in order, and its values with those in front."""
    arrays = {}
    for n, v in given.items():
        own = [d for d in runs if d in v.dims]
        arrays[n] = own, v.transpose(*own, *[d for d in v.dims if d not in own]).values
    return arrays


def _at_once(ds: xr.Dataset, given: Mapping, runs: list[str], prediction: Batched) -> dict[str, np.ndarray]:
    shape = [ds.sizes[d] for d in runs]
    spread = {}
    for n, (own, values) in _arrays(given, runs).items():
        inner = values.shape[len(own) :]
        spread[n] = values.reshape([ds.sizes[d] if d in own else 1 for d in runs] + list(inner))
    found = {}
    for part, value in _parts(prediction.function(**spread)).items():
        value = np.asarray(value)
        found[part] = np.broadcast_to(value, (*shape, *value.shape[len(runs) :])).copy()
    _check_alone(spread, found, shape, prediction)
    return found


def _check_alone(spread: Mapping, found: Mapping, shape: list[int], prediction: Batched) -> None:
    """Some runs by themselves give the same: NumPy pairs axes from behind, and a number of each run with its records."""
    last = int(np.prod(shape)) - 1
    for flat in sorted({0, last // 2, last}) if last >= 0 else ():
        place = np.unravel_index(flat, shape)
        alone = {n: v[tuple(slice(i, i + 1) if v.shape[k] > 1 else slice(1) for k, i in enumerate(place))]
                 for n, v in spread.items()}  # fmt: skip
        for part, value in _parts(prediction.function(**alone)).items():
            value, among = np.asarray(value), found[part][place]
            same = value.shape[len(shape) :] == among.shape
            if not same or not np.allclose(value.reshape(among.shape), among, rtol=1e-4, atol=1e-9, equal_nan=True):
                raise Mistake(
                    "predict",
                    "a batched function gives other numbers of all runs than of one",
                    "runs are in front: write scale[..., None] where a number of a run meets an array of it",
                )


def _one_by_one(ds: xr.Dataset, given: Mapping, runs: list[str], prediction: Callable) -> dict[str, np.ndarray]:
    """Once for each different place along the axes it hangs on; nan where no run was computed."""
    shape = tuple(ds.sizes[d] for d in runs)
    others = [d for d in ds["status"].dims if d not in runs]
    there = (ds["status"] != Status.ABSENT).any(others).transpose(*runs).values
    arrays = _arrays(given, runs)
    found: dict[str, np.ndarray] = {}
    for place in zip(*np.nonzero(there)) if runs else ([()] if there else []):
        at = dict(zip(runs, place))
        one = {n: values[tuple(at[d] for d in own)] for n, (own, values) in arrays.items()}
        for part, value in _parts(prediction(**one)).items():
            value = np.asarray(value)
            if part not in found:
                kind = value.dtype if value.dtype.kind in "fc" else float
                found[part] = np.full((*shape, *value.shape), np.nan, kind)
            found[part][place] = value
    return found
