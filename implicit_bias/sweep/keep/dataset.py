"""Results as xarray: one dataset for each grid of a union, dims named by axis, `record` last.

Numbers of the loops have every axis of their grid; facts have only the axes they depend on, and the clock those that it
varies along. The clock is a coordinate of the records, and selects them: `ds.norm.sel(clock=100)` (see `clock`). Every
keyword of the cell is a coordinate, too: an axis where it varies, a scalar where it is fixed or at its default, so that
what is said of a run is read from the run. A run that is not computed has the status `absent` (-1) and nan elsewhere, so
it is never mistaken for a result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._errors import Mistake
from ..._files import FilePath, place
from ..._lazy import lazy
from ..._results import Status, owner
from ..ask.document import read_plan
from ..ask.names import place_of, plan_of
from ..ask.keywords import decoded
from .store import Store, Tile

xr = lazy("xarray")

RESERVED = ("status", "steps", "time", "clock")


def open_results(path: FilePath | str) -> xr.Dataset | xr.DataTree:
    """The results that a study's folder means (`ib.open("results/mine")`), those of FOLDER@NAME, or of a plan file.

    A `Dataset` where the study has one grid, else a `DataTree` with a dataset for each grid, named by its words.
    """
    store, plan = plan_of(place_of(path))
    document = read_plan(plan)
    try:
        return assemble(document, store)
    except Mistake:
        raise
    except Exception as error:  # a forged plan, or tiles that it should not name
        what = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise Mistake(
            "path", f"{plan} does not fit its tiles ({what})", "`implicit-bias run STUDY` mends it"
        ) from error


def read_tile(store: Store, name: str) -> Tile | None:
    """A tile, verified; None if it is not computed, a mistake with its remedy if it is damaged."""
    try:
        return store.read(name)
    except FileNotFoundError:
        return None
    except ValueError as reason:
        raise Mistake(
            "tile",
            f"{store.path(name)} is damaged ({reason})",
            "`implicit-bias run` sets it aside and computes it again",
        ) from None


def assemble(document: Mapping[str, Any], store: Store) -> xr.Dataset | xr.DataTree:
    known: dict[str, Tile | None] = {}
    grids = [Collector(g, document) for g in document["grids"]]
    for batch, tiles in zip(document["batches"], document["tiles"]):
        for name in tiles:
            if name not in known:
                known[name] = read_tile(store, name)
            if known[name] is not None:
                grids[batch["grid"]].add(batch, known[name])
    datasets = {g["name"]: c.dataset(document) for g, c in zip(document["grids"], grids)}
    if len(datasets) == 1:
        return next(iter(datasets.values()))
    tree = xr.DataTree.from_dict(datasets)
    tree.attrs.update(study=document["study"], statement=document.get("statement", ""))
    return tree


class Collector:
    """Fills the arrays of one grid."""

    def __init__(self, grid: Mapping[str, Any], document: Mapping[str, Any]):
        self.name = grid["name"]
        self.order = grid["order"]
        self.axes = grid["axes"]
        self.shape = tuple(len(self.axes[a]["labels"]) for a in self.order)
        self.place = {a: {v: i for i, v in enumerate(self.axes[a]["values"])} for a in self.order}
        self.arrays: dict[str, np.ndarray] = {}
        self.depends: dict[str, set[str]] = {}
        self.units: set[str] = set()
        self.definitions = document.get("definitions", {})
        self.folds = set(document.get("folds", ()))
        self.status = np.full(self.shape, Status.ABSENT, dtype=np.int8)

    def add(self, batch: Mapping[str, Any], tile: Tile) -> None:
        fixed = {a: self.place[a][v] for a, v in batch["statics"].items() if a in self.place}
        spots = {a: np.full(tile.size, at) for a, at in fixed.items()}
        spots |= {a: _spots(self.place[a], column) for a, column in zip(tile.axes, tile.coordinates.T) if a not in fixed}
        rows = np.flatnonzero(np.all([spots[a] >= 0 for a in self.order], axis=0)) if self.order else np.arange(tile.size)
        if not len(rows):
            return
        self.units.add(batch["unit"])
        where = tuple(spots[a][rows] for a in self.order)
        statics = [a for a in self.order if not self.axes[a]["traced"]]
        for name, array in tile.arrays.items():
            if name == "status":
                self.status[where] = array[rows]
                continue
            short = name.removeprefix("fact.")
            if short in RESERVED and short != name:
                raise ValueError(f"a fact is called {short}")
            if name.startswith("fact.") or name == "clock":
                self.depends.setdefault(short, set(statics)).update(batch["depends"].get(short, []))
            if short not in self.arrays:
                kind = float if array.dtype.kind == "f" else array.dtype
                blank = np.nan if array.dtype.kind == "f" else np.zeros((), array.dtype)
                self.arrays[short] = np.full((*self.shape, *array.shape[1:]), blank, dtype=kind)
            held, shape = self.arrays[short], array.shape[1:]
            together = tuple(max(h, n) for h, n in zip(held.shape[len(self.shape) :], shape))
            recorded = self._is_recorded(short)
            held = self.arrays[short] = _padded(held, (*self.shape, *together), len(self.shape), recorded)
            added = _padded(array[rows], (len(rows), *together), 1, recorded)
            if added.dtype.kind == "f" and held.dtype.kind != "f":
                held = self.arrays[short] = held.astype(float)
            held[where] = added

    def dataset(self, document: Mapping[str, Any]) -> xr.Dataset:
        from .clock import common, with_clock  # xarray is imported where results are read

        coords = {}
        for a in self.order:
            axis = self.axes[a]
            if axis["words"]:
                coords[a] = axis["labels"]
            elif axis["traced"]:
                values = [float.fromhex(v) for v in axis["values"]]
                coords[a] = [int(v) for v in values] if a == "seed" or a.startswith("seed.") else values
            else:
                coords[a] = [_number(v) for v in axis["labels"]]
        for name, written in document["keywords"].items():
            if name not in coords:
                coords[name] = decoded(name, written)
        variables: dict[str, tuple] = {
            "status": (self.order, self.status, {"definition": "how the run ended", "codes": _codes()})
        }
        n = len(self.shape)
        for name, array in sorted(self.arrays.items()):
            dims, values = list(self.order), array
            if name in self.depends:
                keep = [a for a in self.order if a in self.depends[name]]
                values = _reduce(array, self.status, [self.order.index(a) for a in self.order if a not in keep])
                dims = keep
            extra = _extra_dims(name, array.shape[n:], self._is_recorded(name))
            variables[name] = (
                [*dims, *extra],
                values,
                {"definition": self._definition(name)},
            )
        if "clock" in variables:
            dims, values, said = variables.pop("clock")
            coords["clock"] = (*common(values, dims), said | {"units": " or ".join(sorted(self.units))})
        data = with_clock(xr.Dataset(variables, coords=coords))
        if "time" in data:
            data["time"].attrs["units"] = "t (eta k under descent)"
        data.attrs.update(
            study=document["study"],
            grid=self.name,
            statement=document.get("statement", ""),
            fingerprint=json.dumps(document["fingerprint"], sort_keys=True),
            settings=json.dumps(document.get("settings", {}), sort_keys=True),
        )
        return data

    def _definition(self, name: str) -> str:
        of = owner(name, self.definitions)
        known = self.definitions.get(of, _BUILTIN.get(of, of))
        return known if of == name else f"{known}: {name.removeprefix(f'{of}.')}"

    def _is_recorded(self, name: str) -> bool:
        """Whether its first inner axis is the record: it is as long as the clock, and no fact or fold."""
        apart = name in self.depends or name in RESERVED or owner(name, self.folds) in self.folds
        return "clock" in self.arrays and (name == "clock" or not apart)


def _spots(place: Mapping[str, int], column: np.ndarray) -> np.ndarray:
    """Where each number of a column is, or -1; by its bits, as the places are spelt."""
    bits, inverse = np.unique(np.ascontiguousarray(column).view(np.int64), return_inverse=True)
    return np.array([place.get(float(v).hex(), -1) for v in bits.view(np.float64)])[inverse]


_BUILTIN = {
    "steps": "steps taken until the run ended",
    "time": "t when the run ended",
    "clock": "moments of the records",
    "loss": "training loss",
}


def _codes() -> str:
    return " ".join(f"{s.value}={s.label}" for s in Status)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _padded(array: np.ndarray, shape: tuple[int, ...], outer: int, recorded: bool) -> np.ndarray:
    """Of a shape that holds those of all static values: the last record stays, and numbers that are not there are nan."""
    short = [(0, to - of) for to, of in zip(shape, array.shape)]
    along = [p if recorded and axis == outer else (0, 0) for axis, p in enumerate(short)]
    if any(p != (0, 0) for p in along):
        array = np.pad(array, along, mode="edge")
    if array.shape != shape:
        array = np.pad(array.astype(float), [(0, to - of) for to, of in zip(shape, array.shape)], constant_values=np.nan)
    return array


def _extra_dims(name: str, shape: tuple[int, ...], recorded: bool) -> list[str]:
    """`record`, then `x_0`, `x_1`, ... for the inner shape of `x`."""
    inner = len(shape) - recorded
    return ["record"] * recorded + [f"{name}_{i}" for i in range(inner)]


def _reduce(array: np.ndarray, status: np.ndarray, axes: list[int]) -> np.ndarray:
    """Drop the axes a fact does not depend on, by taking a computed run along them."""
    done = status != Status.ABSENT
    for axis in sorted(axes, reverse=True):
        pick = np.expand_dims(done.argmax(axis), axis)
        index = pick.reshape(*pick.shape, *[1] * (array.ndim - pick.ndim))
        array = np.take_along_axis(
            array, np.broadcast_to(index, (*pick.shape, *array.shape[pick.ndim :])), axis
        ).squeeze(axis)
        done = done.any(axis)
    return array


def stops(ds: xr.Dataset) -> xr.DataArray:
    """Where each run ended, on its clock."""
    return ds["steps"] if ds["clock"].attrs.get("units", "steps") == "steps" else ds["time"]


def until_stopped(ds: xr.Dataset) -> xr.Dataset:
    """With a clock for each run, which stands still where the run has ended: records after that are of its end.

    It is then a variable like others, for a table, and selects nothing.
    """
    if "clock" not in ds:
        return ds
    own = np.minimum(ds["clock"].drop_vars("clock", errors="ignore"), stops(ds))
    return ds.drop_vars("clock").assign(clock=own.assign_attrs(ds["clock"].attrs))


def to_dataframe(data: xr.Dataset | xr.DataTree, record: int = -1):
    """A tidy table with each run once: axes, status by name, facts, folds, and clock and observables at one record."""
    import pandas as pd

    if isinstance(data, xr.DataTree):
        parts = [(name, node.to_dataset()) for name, node in data.children.items()]
        return pd.concat([to_dataframe(d, record).assign(grid=name) for name, d in parts], ignore_index=True)
    data = until_stopped(data)
    flat = data.isel(record=record) if "record" in data.dims else data
    flat = flat[[v for v in flat.data_vars if set(flat[v].dims) <= set(data["status"].dims)]]
    frame = flat.to_dataframe().reset_index()
    frame["status"] = [Status(int(s)).label for s in frame["status"]]
    return frame
