"""The interactive part of a page: numbers as inert JSON, and the one script that a page may run.

The numbers are those of each run at its end, to four digits: what has one number a run, by the axes that it depends on.
Above `LARGEST` bytes they are made fewer, and the page says how: medians over seeds first, then fewer quantities. Values
of axes are written to the last digit, because they are the words of a replay.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..._lazy import lazy
from ..._results import Status
from .markup import Markup, clean, element

xr = lazy("xarray")

LARGEST = 250_000
"""Bytes of the numbers of one page."""
_FIRST = ("loss",)
"""Quantities that are the last to be left out."""


def script() -> str:
    return (Path(__file__).parent / "explorer.js").read_text()


@dataclasses.dataclass(frozen=True)
class _Grid:
    name: str
    ds: xr.Dataset
    quantities: tuple[str, ...]

    @property
    def axes(self) -> list[str]:
        return [str(d) for d in self.ds["status"].dims]

    def over_seeds(self) -> _Grid:
        """Medians over the seeds; how a run ended is how most of them did."""
        seeds = [a for a in self.axes if a == "seed"]
        if not seeds:
            return self
        numbers = self.ds[[*self.quantities]].median("seed", keep_attrs=True)
        status, ends = self.ds["status"], np.array(sorted(Status))
        counts = np.stack([(status == end).sum("seed").values for end in ends])
        most = status.isel(seed=0, drop=True).copy(data=ends[counts.argmax(0)])
        return _Grid(self.name, numbers.assign(status=most), self.quantities)


def _quantities(ds: xr.Dataset) -> tuple[xr.Dataset, tuple[str, ...]]:
    """The numbers of each run at its end, and their names: those that are the same everywhere are none."""
    last = ds.isel(record=-1) if "record" in ds.dims else ds
    runs = {*ds["status"].dims}
    names = [
        str(name) for name, v in last.data_vars.items()
        if v.dims and {*v.dims} <= runs and v.dtype.kind in "fiub" and name not in ("status", "clock")
        and len(np.unique(v.values[np.isfinite(v.values.astype(float))])) > 1
    ]  # fmt: skip
    return last, tuple(sorted(names, key=lambda n: n not in _FIRST))


def _number(value: Any) -> str:
    """
    >>> _number(np.float64(0.123456)), _number(np.int32(20000)), _number(float("nan")), _number(True)
    ('0.1235', '20000', 'null', '1')
    """
    value = float(value)
    if not np.isfinite(value):
        return "null"
    return str(int(value)) if value.is_integer() and abs(value) < 1e6 else f"{value:.4g}"


def _axis(name: str, values: np.ndarray) -> dict[str, Any]:
    words = values.dtype.kind not in "fiub"
    told = [v if isinstance(v, str) else repr(v) for v in values.tolist()]
    return {"name": clean(name), "values": [clean(v) for v in told], "words": words}


def _written(grid: _Grid) -> str:
    axes = [_axis(a, grid.ds[a].values) if a in grid.ds.coords else _axis(a, np.arange(grid.ds.sizes[a])) for a in grid.axes]
    status = "".join(str(int(s) - int(Status.ABSENT)) for s in grid.ds["status"].values.ravel())
    parts = []
    for name in grid.quantities:
        v = grid.ds[name].transpose(*(a for a in grid.axes if a in grid.ds[name].dims))
        about = v.attrs.get("definition") or name
        head = {"name": clean(name), "about": clean(about), "dims": [grid.axes.index(str(d)) for d in v.dims]}
        parts.append(f'{json.dumps(head)[:-1]}, "values": [{",".join(map(_number, v.values.ravel()))}]}}')
    head = {"name": clean(grid.name), "axes": axes, "status": status}
    return f'{json.dumps(head)[:-1]}, "quantities": [{",".join(parts)}]}}'


def _smaller(grids: Sequence[_Grid]) -> Iterator[tuple[Sequence[_Grid], str]]:
    """The grids, made smaller and smaller, and what was done."""
    yield grids, ""
    seeds = [g.ds.sizes["seed"] for g in grids if "seed" in g.axes]
    medians = [g.over_seeds() for g in grids]
    said = f"Numbers are medians over {max(seeds)} seeds." if seeds else ""
    yield medians, said
    while any(len(g.quantities) > 1 for g in medians):
        most = max(len(g.quantities) for g in medians) - 1
        gone = [name for g in medians for name in g.quantities[most:]]
        said += f" {'Left out, to keep the page small: ' if 'Left out' not in said else ''}{', '.join(dict.fromkeys(gone))},"
        medians = [dataclasses.replace(g, quantities=g.quantities[:most]) for g in medians]
        yield medians, said.strip().rstrip(",") + "."
    yield [], "There are too many runs for an explorer of this page."


def explorer(nodes: Mapping[str, xr.Dataset], command: tuple[Sequence[str], Sequence[str]] | None) -> Markup:
    """The explorer of a study's grids; nothing where no run has numbers. `command` is what stands before and after a run's
    axes in the command that replays it."""
    grids = [_Grid(name, *_quantities(ds)) for name, ds in nodes.items()]
    grids = [g for g in grids if g.quantities and (g.ds["status"] != Status.ABSENT).any()]
    if not grids:
        return Markup()
    for kept, note in _smaller(grids):
        text = ",".join(map(_written, kept))
        if len(text) <= LARGEST:
            break
    if not kept:
        return element("p", note, class_="note")
    one_of_many = bool(note) and any("seed" in g.axes for g in grids)
    told = None if command is None or one_of_many else {"words": [*command[0]], "more": [*command[1]]}
    head = {"statuses": [s.label for s in sorted(Status)], "command": told, "note": clean(note)}
    data = f'{json.dumps(head)[:-1]}, "grids": [{text}]}}'
    off = element("p", "The explorer needs JavaScript; nothing else on this page does.", class_="note")
    # inside a script nothing is markup but its end: "<" is written so that there is none
    numbers = Markup(f'<script type="application/json" id="explorer-data">{data.replace("<", chr(92) + "u003c")}</script>')
    return Markup(element("div", off, id="explorer") + numbers)
