"""A number over two axes, as colours, with the lines where a theory changes its mind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .layers import Layer, Sheet, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Map(Layer):
    """A number over two axes, as colours; `contour` draws where a theory's slack is zero."""

    value_of: Value
    x: str
    y: str
    label: str = ""
    how: str = "mean"
    log: bool = False
    limits: tuple[float | None, float | None] = (None, None)
    contour: Mapping[str, Value] = dataclasses.field(default_factory=dict)

    def draw(self, sheet: Sheet) -> None:
        from matplotlib.colors import LogNorm

        ds = self.dataset(sheet)
        if ds is None:
            return
        found = self.accepted(ds, self.value(ds, self.value_of))
        rest = [d for d in found.dims if d not in (self.x, self.y)]
        flat = getattr(found, self.how)(rest) if rest else found
        low, high = self.limits
        if self.log:
            norm = dict(norm=LogNorm(low, high))
        else:
            norm = dict(vmin=low, vmax=high)
        seen = flat.clip(min=low) if self.log and low is not None else flat
        xs, ys = (flat[a].values.astype(float) for a in (self.x, self.y))
        sheet.places = xs
        logs = [_is_geometric(v) for v in (xs, ys)]
        mesh = sheet.axes.pcolormesh(
            edges(xs, logs[0]), edges(ys, logs[1]), seen.transpose(self.y, self.x).values,
            edgecolors="face", lw=sheet.pen(0.3), cmap="cividis", **norm,
        )  # fmt: skip
        cells = np.meshgrid(xs, ys)
        sheet.note("map", self.label, *cells, value=flat.transpose(self.y, self.x).values)
        sheet.axes.set(xscale="log" if logs[0] else "linear", yscale="log" if logs[1] else "linear")
        sheet.heights = ys
        sheet.axes.grid(False)
        sheet.axes.set_facecolor("0.85")  # no run: neither end of the scale
        for (label, slack), line in zip(self.contour.items(), ("-", "--", ":")):
            level = self.value(ds, slack)
            rest = [d for d in level.dims if d not in (self.x, self.y)]
            level = (level.median(rest) if rest else level).broadcast_like(flat).transpose(self.y, self.x)
            if np.nanmin(level) < 0 < np.nanmax(level):
                drawn = sheet.axes.contour(
                    xs, ys, level.values, levels=[0.0], colors="white", linestyles=line, linewidths=sheet.pen(1.5)
                )
                for piece in (piece for lines in drawn.allsegs for piece in lines):
                    sheet.note("contour", label, *piece.T)
            sheet.axes.plot([], [], line, color="0.35", lw=sheet.pen(1.5), label=label)
        bar = sheet.axes.figure.colorbar(mesh, ax=sheet.axes, label=self.label)
        bar.outline.set_visible(False)


def _is_geometric(values: np.ndarray) -> bool:
    """Whether values lie evenly on a logarithmic axis rather than on a linear one."""
    if len(values) < 3 or (values <= 0).any():
        return len(values) == 2 and bool(values.min() > 0 and values.max() > 3 * values.min())
    uneven = [np.ptp(np.diff(v)) / abs(np.diff(v)).mean() for v in (np.log(values), values)]
    return bool(uneven[0] < uneven[1])


def edges(values: Any, log: bool = False) -> np.ndarray:
    """The edges of cells around ascending values, for `pcolormesh`; of one value, too.

    >>> edges([1, 2, 4]).tolist(), edges([10.0, 1000.0], log=True).round().tolist(), edges([3]).tolist()
    ([0.5, 1.5, 3.0, 5.0], [1.0, 100.0, 10000.0], [2.5, 3.5])
    """
    at = np.log(values) if log else np.asarray(values, dtype=float)
    half = np.diff(at) / 2 if at.size > 1 else np.array([0.5])
    found = np.concatenate([at[:1] - half[0], at[:-1] + half[: at.size - 1], at[-1:] + half[-1]])
    return np.exp(found) if log else found


def map_of(value: Value, *, x: str, y: str, **options: Any) -> Map:
    """A number over two axes, with `contour={label: slack}` where a theory's slack is zero."""
    return Map(value_of=value, x=x, y=y, **options)
