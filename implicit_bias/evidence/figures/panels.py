"""A panel: layers, labels, and an axis that can be read: ticks at the values that were run, none over another.

Titles and captions may name the numbers of the results: `{ratio:g}` is a setting or an axis of one value, `{seed.count}`
how many values an axis has, `{scale.least:g}` and `{scale.largest:g}` its ends; those and `.median` are there of every
variable, too. Other braces stay as they are.

>>> import numpy as np, xarray as xr
>>> ds = xr.Dataset(coords={"seed": [0, 1, 2], "ratio": 0.5})
>>> written("$c = {ratio:g}$, {seed.count} seeds, $\\\\log_{10} x$", ds)
'$c = 0.5$, 3 seeds, $\\\\log_{10} x$'
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._errors import Mistake
from .layers import Layer, Sheet, grid_of, named

_NUMBER = re.compile(r"\{(\w+)(?:\.(count|least|largest|median))?(?::([^{}]*))?\}")
FEW = 9
"""Values of an axis that are all named at its ticks."""


def written(text: str, ds: Any) -> str:
    """The text with the numbers of the results in it."""

    def number(match: re.Match) -> str:
        name, what, form = match.groups()
        if name not in ds.coords and name not in ds.data_vars:
            return match[0]
        values = np.atleast_1d(ds[name].values).ravel()
        if what is None and values.size > 1:
            return match[0]
        read = {"count": np.size, "least": np.nanmin, "largest": np.nanmax, "median": np.nanmedian}
        value = read.get(what, lambda v: v[0])(values)
        return format(value.item() if hasattr(value, "item") else value, form or "")

    return _NUMBER.sub(number, text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    layers: Sequence[Layer]
    x: str = ""
    y: str = ""
    title: str = ""
    log: str = ""
    """The logarithmic axes: "x", "y" or "xy"."""
    legend: str | None = "best"
    """A place; "right" for one beside the panel, or beside the last of its facets; None for no legend."""
    columns: int = 1
    """Of the legend."""
    xlim: tuple[float | None, float | None] | None = None
    ylim: tuple[float | None, float | None] | None = None
    facet: str | None = None
    """An axis, of which each value has a panel of its own."""
    equal: bool = False
    """One unit is as long along y as along x."""

    def __post_init__(self):
        if set(self.log) - set("xy"):
            raise Mistake("log", f"of a panel is {self.log!r}", 'name its logarithmic axes: "x", "y" or "xy"')

    def datasets(self, data: Any) -> list[Any]:
        found = [grid_of(data, layer.on) for layer in self.layers if layer.on or not hasattr(data, "children")]
        return [ds for ds in found if ds is not None]

    def facets(self, data: Any) -> list[dict[str, Any]]:
        """What each of its panels shows."""
        if self.facet is None:
            return [{}]
        for ds in self.datasets(data):
            return [{self.facet: v} for v in np.atleast_1d(named(ds, self.facet).values).tolist()]
        return [{}]

    def draw(self, axes: Any, data: Any, of: dict[str, Any]) -> Sheet:
        """Draw it; the sheet has the numbers of what was drawn."""
        sheet = Sheet(axes, data, of)
        for layer in self.layers:
            layer.draw(sheet)
        for axis in "xy":
            if axis in self.log:
                axes.set(**{f"{axis}scale": "log"})
        ds = next((d for layer in self.layers if (d := layer.dataset(sheet)) is not None), None)
        sheet.texts = tuple(t if ds is None else written(t, ds) for t in (self.title, self.x, self.y))
        axes.set(**{k: t for k, t in zip(("title", "xlabel", "ylabel"), sheet.texts) if t})
        if self.equal:
            axes.set_aspect("equal")
        for label, line in sheet.theory.items():
            axes.plot([], [], line, color="0.4", lw=sheet.pen(1.2), label=label)
        for said in sheet.bands:
            axes.fill_between([], [], color="0.5", alpha=0.3, lw=0, label=said)
        if sheet.open:
            axes.plot([], [], "o", color="0.4", mfc="white", label="some runs missing")
        sheet.name_the_unnamed()
        for axis, values in ((axes.xaxis, sheet.places), (axes.yaxis, sheet.heights)):
            if values is not None and 1 < len(values) <= FEW:
                _ticks_at(axis, values)
        axes.set(**{k: v for k, v in (("xlim", self.xlim), ("ylim", self.ylim)) if v is not None})
        if self.legend and self.legend != "right" and axes.get_legend_handles_labels()[1]:
            inner = axes.legend(loc=self.legend, ncols=self.columns, frameon=False)
            inner.set_in_layout(False)  # it stands inside, or is moved: the panel need not give way to it
        return sheet

    def name_beside(self, facets: Sequence[Any]) -> None:
        """One legend for what all facets show."""
        known = {label: handle for axes in facets for handle, label in zip(*axes.get_legend_handles_labels())}
        if known:
            facets[-1].legend(known.values(), known, loc="center left", bbox_to_anchor=(1.02, 0.5), ncols=self.columns)


DECADES = 3
"""Powers of ten among the values of a logarithmic axis, from which on they alone are named."""


def _ticks_at(axis: Any, values: np.ndarray) -> None:
    """Name the values, or the powers of ten among them where there are enough; the others have a tick without a name."""
    if axis.get_scale() == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            powers = np.log10(values)
        whole = np.abs(powers - np.round(powers)) < 1e-6
        if whole.sum() >= DECADES:
            axis.set_ticks(values[whole], labels=[f"$10^{{{round(p)}}}$" for p in powers[whole]])
            axis.set_ticks(values[~whole], labels=[""] * int((~whole).sum()), minor=True)
            return
    axis.set_ticks(values, labels=[short(v) for v in values])
    axis.set_ticks([], minor=True)


def short(value: float) -> str:
    """A number at a tick.

    >>> short(0.05), short(1e-6), short(3e-4), short(40.0)
    ('0.05', '$10^{-6}$', '$3\\\\cdot10^{-4}$', '40')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    power = int(np.floor(np.log10(abs(value)) + 1e-9))
    head = f"{value / 10.0**power:.2g}"
    return f"$10^{{{power}}}$" if head == "1" else rf"${head}\cdot10^{{{power}}}$"


def panel(*layers: Layer, **options: Any) -> Panel:
    """Layers with their labels: `ib.panel(ib.curves_of(...), x="ratio $c$", y="error", log="xy")`."""
    return Panel(layers=layers, **options)
