"""The boundary on its map: cells by what is believed of them, corners by their side, crossings with their intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..evidence.figures import SINGLE
from ..evidence.figures.base import house_style
from ..evidence.figures.looks import COLOURS
from .boundary import EDGE, SIDES
from .sides import NO, NONE, YES

FILL = {SIDES[YES]: "#D6E6F2", SIDES[NO]: "#FBF3E0", SIDES[NONE]: "0.85", EDGE: "white"}
DOT = {SIDES[YES]: dict(color=COLOURS["blue"], marker="o"), SIDES[NO]: dict(color=COLOURS["orange"], marker="s"),
       SIDES[NONE]: dict(color="0.3", marker="x")}  # fmt: skip


def draw(ds: xr.Dataset, path: Path) -> None:
    """One or two axes, as a picture by the ending of the file."""
    over = json.loads(ds.attrs["over"])
    with house_style() as plt:
        from matplotlib.ticker import NullFormatter

        drawing, axes = plt.subplots(figsize=(SINGLE, 4.6 if len(over) == 2 else 3.4))
        (_map if len(over) == 2 else _curve)(axes, ds, over)
        for way, log, (low, high) in zip("xy", json.loads(ds.attrs["log"]), json.loads(ds.attrs["ranges"])):
            if log:
                axes.set(**{f"{way}scale": "log"})
            if log and high >= 10 * low:  # the names between two powers would lie over one another
                getattr(axes, f"{way}axis").set_minor_formatter(NullFormatter())
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
        at = "".join(f", {n}={v}" for n, v in json.loads(ds.attrs["fixed"]).items())
        axes.set_title(f"{ds.attrs['study']}{at}: {ds.attrs['what']}")
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {}
        drawing.savefig(path, metadata=metadata)
        plt.close(drawing)


def _words(ds: xr.Dataset) -> dict[str, str]:
    return {SIDES[YES]: ds.attrs["yes"], SIDES[NO]: ds.attrs["no"], SIDES[NONE]: SIDES[NONE]}


def _corners(axes: Any, ds: xr.Dataset, x: np.ndarray, y: np.ndarray) -> None:
    for side, words in _words(ds).items():
        here = ds["side"].values == side
        if here.any():
            axes.scatter(x[here], y[here], s=9, lw=0.8, label=words, zorder=3, **DOT[side])


def _map(axes: Any, ds: xr.Dataset, over: list[str]) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    x, y = over
    low, high = (np.column_stack([ds[f"{n}_{end}"].values for n in over]) for end in ("low", "high"))
    patches = [Rectangle(tuple(a), *(b - a)) for a, b in zip(low, high)]
    colours = [FILL[word] for word in ds["believed"].values]
    axes.add_collection(PatchCollection(patches, facecolor=colours, edgecolor="0.75", lw=0.4, zorder=1))
    _corners(axes, ds, ds[f"corner_{x}"].values, ds[f"corner_{y}"].values)
    _theory(axes, ds, over)
    sides = ds["between"].values == "sides"
    places = {n: ds[n].values for n in over}
    said = "boundary found"
    for pair in ds["chord"].values:
        known = sides[pair].all()
        look = dict(color="black", lw=1.8) if known else dict(color="0.5", lw=1.0, ls=":")
        axes.plot(places[x][pair], places[y][pair], zorder=4, label=said if known else None, **look)
        said = said if not known else None
    said = "its 95 % interval"
    for i in np.flatnonzero(sides):
        ends = (float(ds["low"][i]), float(ds["high"][i]))
        across = str(ds["along"].values[i]) == x
        line = (ends, (places[y][i],) * 2) if across else ((places[x][i],) * 2, ends)
        axes.plot(*line, color=COLOURS["vermillion"], lw=1.2, zorder=5, label=said, solid_capstyle="butt")
        said = None
    ranges = json.loads(ds.attrs["ranges"])
    axes.set(xlabel=x, ylabel=y, xlim=ranges[0], ylim=ranges[1])
    axes.grid(False)


def _theory(axes: Any, ds: xr.Dataset, over: list[str]) -> None:
    """Where the theory's number is zero, on triangles of the corners."""
    if "theory_value" not in ds:
        return
    from matplotlib.tri import Triangulation

    value, logs = ds["theory_value"].values, json.loads(ds.attrs["log"])
    known = np.isfinite(value)
    if known.sum() < 3 or not value[known].min() < 0 < value[known].max():
        return
    at = [ds[f"corner_{n}"].values[known].astype(float) for n in over]
    flat = Triangulation(*(np.log(v) if log else v for v, log in zip(at, logs)))
    axes.tricontour(Triangulation(*at, flat.triangles), value[known], levels=[0.0], colors=COLOURS["green"],
                    linestyles="--", linewidths=1.2, zorder=6)  # fmt: skip
    axes.plot([], [], "--", color=COLOURS["green"], lw=1.5, label=f"{ds.attrs['theory']} = 0 (theory)")


def _curve(axes: Any, ds: xr.Dataset, over: list[str]) -> None:
    (x,) = over
    _corners(axes, ds, ds[f"corner_{x}"].values, ds["value"].values)
    said = "boundary with its 95 % interval"
    for i in np.flatnonzero(ds["between"].values == "sides"):
        axes.axvspan(float(ds["low"][i]), float(ds["high"][i]), color=COLOURS["vermillion"], alpha=0.3, lw=0)
        axes.axvline(float(ds[x][i]), color="black", lw=1.8, label=said)
        if "theory" in ds and np.isfinite(ds["theory"][i]):
            name = f"{ds.attrs['theory']} = 0 (theory)" if said else None
            axes.axvline(float(ds["theory"][i]), color=COLOURS["green"], ls="--", lw=1.5, label=name)
        said = None
    heights = f"{ds.attrs['what']}, {ds.attrs['how']} of {ds.attrs['seeds']} seeds"
    axes.set(xlabel=x, ylabel=heights, xlim=json.loads(ds.attrs["ranges"])[0])
