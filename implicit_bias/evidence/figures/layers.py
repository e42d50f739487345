r"""What a panel is made of: measured series, theory as lines, maps, guides.

A layer reads its numbers from the dataset by name, or by a function of it. What a request left out is not drawn, and a
run that did not end as the layer accepts is no number: a point of which some runs are missing is open.

    curves_of("norm", x="scale", by="method", theory="limit_norm")
    map_of("worst", x="scale", y="ratio", log=True, contour={"exact": "slack"})
    level(1e-8, "tolerance")      across(2.0, "$g_*$")      guide(-2, "slope $-2$")
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..._errors import Mistake, nearest
from ..._lazy import lazy
from ..._results import Status
from .looks import STYLE

xr = lazy("xarray")

Value = str | Callable[[Any], Any]
"""A variable by name, or a function of the dataset."""

ENDED = (Status.CONVERGED,)


class Sheet:
    """A panel while it is drawn: matplotlib's axes, what its guides lean on, and what its legend still has to say."""

    def __init__(self, axes: Any, data: Any, of: Mapping[str, Any] | None = None):
        self.axes, self.data, self.of = axes, data, dict(of or {})
        self.points: list[tuple[np.ndarray, np.ndarray, str]] = []
        """x, y and colour of each measured series."""
        self.places: np.ndarray | None = None
        """Values of the axis along x, where a layer has one."""
        self.heights: np.ndarray | None = None
        """Values of the axis along y, where a map has one."""
        self.bands: dict[str, None] = {}
        self.open = False
        self.theory: dict[str, str] = {}
        """Label -> line, of theory whose colour is that of its series."""
        self.notes: list[dict[str, Any]] = []
        """What was drawn, as numbers: see `table`."""
        self.unnamed: list[tuple[Any, dict[str, Any], str]] = []
        """Series without a name: what stands for each in a legend, its note, and its name should the legend need one."""
        self.guides = 0
        self.levels: list[tuple[Any, bool]] = []
        """Names of levels, and whether each is a vertical one."""
        self.texts = ("", "", "")
        """What stands over the panel, beside x, and beside y."""

    def pen(self, width: float) -> float:
        """A width of the laboratory's own page, at the size at which this is printed."""
        from matplotlib import rcParams

        return width * rcParams["lines.linewidth"] / STYLE["lines.linewidth"]

    def note(self, kind: str, series: str, x: Any = None, y: Any = None, **more: Any) -> dict[str, Any]:
        """Keep the numbers of what has just been drawn."""
        numbers = {"x": x, "y": y, **more}
        self.notes.append({"kind": kind, "series": series, **{k: v for k, v in numbers.items() if v is not None}})
        return self.notes[-1]

    def name_the_unnamed(self) -> None:
        """Where a legend says what a band or a line is, it says what the points are."""
        if self.axes.get_legend_handles_labels()[1]:
            for artist, note, name in self.unnamed:
                artist.set_label(name)
                note["series"] = name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer(abc.ABC):
    on: str | None = None
    """The grid it shows, where a study has several."""
    of: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What it shows of each axis: a value, or "first", "last", "least", "largest"."""
    accepts: Sequence[Status] | None = ENDED
    """How a run must have ended to be a number here; None for any way."""

    counts: ClassVar[bool] = True
    """Whether it shows runs, of which some may be missing."""

    def dataset(self, sheet: Sheet) -> Any:
        """The part of the results that it shows; None where a request left that out."""
        ds = grid_of(sheet.data, self.on)
        return None if ds is None else chosen(ds, {**sheet.of, **self.of})

    def value(self, ds: Any, value: Value, kept: bool = False) -> xr.DataArray:
        """A number of each run, nan for runs that are none; at the last record, unless records are kept."""
        found = value(ds) if callable(value) else named(ds, value)
        found = found if isinstance(found, xr.DataArray) else xr.DataArray(found)
        if not kept and "record" in found.dims:
            found = found.isel(record=-1)
        return found

    def accepted(self, ds: Any, value: xr.DataArray) -> xr.DataArray:
        """nan for the runs that did not end as asked; a number of several runs is left as it is."""
        status = ds["status"]
        wanted = status != Status.ABSENT if self.accepts is None else status.isin([int(s) for s in self.accepts])
        if not set(status.dims) <= set(value.dims) | {d for d in status.dims if status.sizes[d] == 1}:
            return value
        return value.where(wanted)

    @abc.abstractmethod
    def draw(self, sheet: Sheet) -> None:
        """Draw it, and note on the sheet what guides lean on and the legend has to say."""


def grid_of(data: Any, on: str | None) -> Any:
    """One grid of the results, or None where the request has left it out."""
    if not hasattr(data, "children"):
        return data if on in (None, data.attrs.get("grid", on)) else None
    if on is None:
        if len(data.children) == 1:
            return next(iter(data.children.values())).to_dataset()
        raise Mistake("on", "a layer must name one of several grids", f"known: {', '.join(data.children)}")
    return data[on].to_dataset() if on in data.children else None


def named(ds: Any, name: str) -> xr.DataArray:
    if name not in ds.coords and name not in ds.data_vars:
        known = [str(n) for n in (*ds.coords, *ds.data_vars)]
        raise Mistake("figure", f"names {name!r}, which these results do not have", nearest(name, known))
    return ds[name]


PLACES = ("first", "last", "least", "largest")


def chosen(ds: Any, of: Mapping[str, Any]) -> Any:
    """One value of each axis named; None where one is not there."""
    for axis, value in of.items():
        if axis not in ds.dims:
            if value not in PLACES and not _same(named(ds, axis), value):
                return None
            continue
        values = ds[axis].values
        if value in ("first", "last"):
            place = 0 if value == "first" else -1
        elif value in ("least", "largest"):
            numbers = _numbers(values)
            place = int(numbers.argmin() if value == "least" else numbers.argmax())
        else:
            places = np.flatnonzero([_same(v, value) for v in values])
            if not len(places):
                if isinstance(value, str) and _numbers([value]).dtype.kind != "f" and _numbers(values).dtype.kind == "f":
                    raise Mistake("figure", f"asks for {axis} = {value!r}", f"give a number, or {', '.join(PLACES)}")
                return None
            place = int(places[0])
        ds = ds.isel({axis: place})
    return ds


def _numbers(values: Any) -> np.ndarray:
    """As numbers where all of them are, like those of a width, whose places are words."""
    try:
        return np.asarray(values).astype(float)
    except ValueError:
        return np.asarray(values)


def _same(here: Any, value: Any) -> bool:
    here = here.item() if hasattr(here, "item") else here
    if isinstance(here, (int, float)) and isinstance(value, (int, float)):
        return bool(np.isclose(here, value, rtol=1e-9, atol=0))
    return str(here) == str(value)
