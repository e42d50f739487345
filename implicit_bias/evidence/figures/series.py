"""Measured series, with theory in their colours: against an axis, against the clock, or one number of a run against another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..._errors import Mistake
from ..._lazy import lazy
from ..._results import Status
from ..intervals import bootstrap, share
from .layers import Layer, Sheet, Value, named
from .looks import Look, looks_of

xr = lazy("xarray")

MOST = 5
"""Series in a panel, where an axis has more values: the ends and what lies evenly between them."""

MANY = 1000
"""Points of a cloud, beyond which a vector drawing holds them as an image: each is about a hundred bytes there."""

MIDDLES = ("median", "mean", "min", "max")
SPREADS = {
    "range": "range over {}",
    "middle 80 %": "middle 80 % of {}",
    "deviation": "standard deviation over {}",
    "error": "two standard errors over {}",
    "bootstrap": "95 % by bootstrap over {}",
    "share": "95 % (Clopper and Pearson) over {}",
}


def words_of(axes: Sequence[str]) -> str:
    plural = [f"{a}s" if a in ("seed", "scale", "ratio", "step", "start", "law") else a for a in axes]
    return plural[0] if len(plural) == 1 else f"{', '.join(plural[:-1])} and {plural[-1]}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curves(Layer):
    """A measured quantity against an axis or the clock: one series for each value of `by`, a band over the rest."""

    y: Value
    x: Value
    by: str | None = None
    band: str | Sequence[str] | None = "seed"
    """Axes that the band is over; axes that nothing names are pooled with them, and the legend says so. None draws
    every run by itself."""
    middle: str = "median"
    spread: str = "range"
    theory: Value | None = None
    theory_label: str = "theory"
    looks: Mapping[Any, Any] = dataclasses.field(default_factory=dict)
    name: str = "{}"
    """A label of a value of `by`, as in "$L = {:g}$"."""
    label: str = ""
    """Of a single series."""
    join: bool | None = None
    """Whether markers are joined by lines; without theory they are."""
    open: bool = False
    """Draw all markers open: a second series in the same colours."""
    above: float | None = None
    """Values below are not drawn: what is left there is rounding."""

    def __post_init__(self):
        for field, given, known in (("middle", self.middle, MIDDLES), ("spread", self.spread, SPREADS)):
            if given not in known:
                raise Mistake(field, f"of a series is {given!r}", f"give one of {', '.join(known)}")

    def draw(self, sheet: Sheet) -> None:
        ds = self.dataset(sheet)
        if ds is None:
            return
        y, lost, over_time = self._values(ds)
        values = [None]
        if self.by is not None and self.by in y.dims:
            values = list(y[self.by].values)
            if len(values) > MOST and not self.looks:
                values = [values[i] for i in np.unique(np.linspace(0, len(values) - 1, MOST).round().astype(int))]
        if self.by is None:
            own = self.looks.get(None, {"colour": "blue"})
            looks = {None: own if isinstance(own, Look) else Look(**{"label": self.label, **own})}
        else:
            if values == [None]:
                values = np.atleast_1d(named(ds, self.by).values)[:1].tolist()
            looks = looks_of(values, self.looks, self.name)
        for value, look in looks.items():
            at = {self.by: value} if self.by in y.dims else {}
            self._series(sheet, ds.sel(at), y.sel(at), lost.sel(at), look, over_time)

    def _along(self, ds: Any) -> xr.DataArray:
        """x"""
        return self.x(ds) if callable(self.x) else named(ds, self.x)

    def _values(self, ds: Any) -> tuple[xr.DataArray, xr.DataArray, bool]:
        """y, where a run has no number (one that is too small to be drawn has), and whether x goes along the records."""
        over_time = "record" in self._along(ds).dims
        y = self.accepted(ds, self.value(ds, self.y, kept=over_time))
        shown = y if self.above is None else y.where(y > self.above)
        return shown, y.isnull(), over_time

    def _series(
        self, sheet: Sheet, ds: Any, y: xr.DataArray, lost: xr.DataArray, look: Look, over_time: bool
    ) -> None:
        x = self._along(ds)
        along = "record" if over_time else self._axis(x)
        if not over_time and along not in y.dims:
            return self._cloud(sheet, x, y, look)
        if not over_time:
            x = x.astype(float)  # numbers that the program has as constants are kept as words
            if not callable(self.x):
                sheet.places = x.values[y.notnull().any([d for d in y.dims if d != along]).values]
        if self.band is None:
            return self._each(sheet, x, y, look, along, over_time)
        named_axes = self._banded
        pooled = [d for d in y.dims if d != along and not (d in named_axes)]
        axes = [d for d in (*named_axes, *pooled) if d in y.dims]
        at = x.median([d for d in x.dims if d != along]) if over_time else x
        at = at.values
        mid = getattr(y, self.middle)(axes) if axes else y
        mid, band = mid.values, {}
        if axes and int(np.prod([y.sizes[d] for d in axes])) > 1:
            low, high = (edge.values for edge in self._edges(y, axes))
            sheet.axes.fill_between(at, low, high, color=look.paint, alpha=0.16, lw=0)
            words = SPREADS[self.spread].format(words_of([d for d in axes if y.sizes[d] > 1]))
            sheet.bands[words] = None
            band = dict(low=low, high=high, band=words)
        missing = (lost.any(axes) & y.notnull().any(axes)).values if axes else np.zeros(len(at), bool)
        gone = lost.sum(axes).values if axes else lost.values.astype(int)
        note = sheet.note("measured", look.label, at, mid, missing=gone, **band)
        join = self.theory is None if self.join is None else self.join
        if over_time:
            (shown,) = sheet.axes.plot(at, mid, look.line, color=look.paint, label=look.label)
        else:
            line = look.line if join else "none"
            sheet.axes.plot(at, mid, ls=line, color=look.paint, lw=sheet.pen(1.2))
            face = "white" if self.open else look.paint
            for fill, which in ((face, ~missing), ("white", missing)):
                sheet.axes.plot(at[which], mid[which], look.marker, color=look.paint, mfc=fill, mew=sheet.pen(1.2))
            sheet.open |= bool(missing.any())
            (shown,) = sheet.axes.plot(
                [], [], look.marker, ls=line, color=look.paint, mfc=face, mew=sheet.pen(1.2), label=look.label
            )
        if not look.label:
            sheet.unnamed.append((shown, note, self.middle if band else "measured"))
        sheet.points.append((np.asarray(at, float), np.asarray(mid, float), look.paint))
        if self.theory is not None:
            law = self.value(ds, self.theory, kept=over_time)
            rest = [d for d in law.dims if d != along]
            law = getattr(law, self.middle)(rest) if rest else law
            where = at if along in law.dims else at[[0, -1]]
            values = law.values if along in law.dims else np.repeat(float(law), 2)
            sheet.axes.plot(where, values, "-", color=look.paint, lw=sheet.pen(1.2), zorder=1.8)
            sheet.theory[self.theory_label] = "-"
            sheet.note("theory", ", ".join(filter(None, (look.label, self.theory_label))), where, values)

    @property
    def _banded(self) -> list[str]:
        return [self.band] if isinstance(self.band, str) else list(self.band or ())

    def _axis(self, x: xr.DataArray) -> str:
        """The axis that the series goes along: the one named, or the only one of a function; "" where x is of each run."""
        if not callable(self.x):
            return self.x
        return str(x.dims[0]) if len(x.dims) == 1 and x.dims[0] not in ("seed", *self._banded) else ""

    def _edges(self, y: xr.DataArray, axes: list[str]) -> tuple[xr.DataArray, xr.DataArray]:
        if self.spread == "range":
            return y.min(axes), y.max(axes)
        if self.spread == "middle 80 %":
            return y.quantile(0.1, axes), y.quantile(0.9, axes)
        if self.spread == "share":  # of a seed with several runs: its share
            part = y.mean([d for d in axes if d != "seed"]) if "seed" in axes else y
            units = ["seed"] if "seed" in axes else axes
            ends = np.vectorize(lambda held, of: share(held, int(of))[:2], otypes=[float, float])
            mid, half = ends(part.sum(units), part.notnull().sum(units))
            at = 0 * part.mean(units)
            return at + (mid - half), at + (mid + half)
        if self.spread == "bootstrap":
            points = y.stack(unit=axes)
            (axis,) = (d for d in points.dims if d != "unit")
            low, high = bootstrap(points.transpose("unit", axis).values)
            return xr.DataArray(low, {axis: y[axis]}, (axis,)), xr.DataArray(high, {axis: y[axis]}, (axis,))
        half = y.std(axes) * (2 / np.sqrt(y.notnull().sum(axes)) if self.spread == "error" else 1)
        return y.mean(axes) - half, y.mean(axes) + half

    def _each(self, sheet: Sheet, x: xr.DataArray, y: xr.DataArray, look: Look, along: str, over_time: bool) -> None:
        """Every run by itself."""
        spread = xr.broadcast(x, y)
        rest = [d for d in spread[1].dims if d != along]
        xs, ys = (v.stack(of_all=rest).transpose(along, "of_all").values if rest else v.values[:, None] for v in spread)
        join = over_time if self.join is None else self.join
        style = look.line if join else look.marker
        for i in range(ys.shape[1]):
            label = None if i else look.label
            sheet.axes.plot(xs[:, i], ys[:, i], style, color=look.paint, lw=sheet.pen(0.9), alpha=0.75, label=label)
            sheet.note("runs", look.label, xs[:, i], ys[:, i])
        known = np.isfinite(ys).any(1)
        ys = np.where(np.isfinite(ys), ys, np.nan)[known]
        sheet.points.append((xs[known, 0], np.nanmedian(ys, 1), look.paint))

    def _cloud(self, sheet: Sheet, x: xr.DataArray, y: xr.DataArray, look: Look) -> None:
        """x is itself a number of each run."""
        x, y = (v.values.ravel() for v in xr.broadcast(x, y))
        face = "white" if self.open else look.paint
        look_of = dict(color=look.paint, mfc=face, ms=sheet.pen(4), alpha=0.8, label=look.label)
        sheet.axes.plot(x, y, look.marker, rasterized=x.size > MANY, **look_of)
        sheet.note("runs", look.label, x, y)
        known = np.isfinite(x) & np.isfinite(y)
        order = np.argsort(x[known])
        sheet.points.append((x[known][order], y[known][order], look.paint))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Theory(Curves):
    """A line that theory draws, with no measurement of its own: dashed where it is in the colour of a series."""

    band: str | Sequence[str] | None = "seed"
    accepts: Sequence[Status] | None = None
    line: str | None = None
    counts: ClassVar[bool] = False

    def _series(
        self, sheet: Sheet, ds: Any, y: xr.DataArray, lost: xr.DataArray, look: Look, over_time: bool
    ) -> None:
        x = self._along(ds)
        along = "record" if over_time else self._axis(x)
        y = y.median([d for d in y.dims if d != along]) if set(y.dims) - {along} else y
        x = x.median([d for d in x.dims if d != along]) if over_time else x
        if along not in y.dims:
            y = y.broadcast_like(x)
        x = x.astype(float)
        alone = self.by is None
        line = self.line or (look.line if alone else "--")
        sheet.axes.plot(
            x.values, y.values, line, color=look.paint, lw=sheet.pen(1.2), zorder=1.8, label=look.label if alone else None
        )
        said = self.label or self.theory_label
        sheet.note("theory", look.label if alone else f"{look.label}, {said}", x.values, y.values)
        if not alone:
            sheet.theory[said] = line


def curves_of(y: Value, *, x: Value, **options: Any) -> Curves:
    """y against x, one series for each value of `by`, median and range over `band`, `theory` as a line."""
    return Curves(y=y, x=x, **options)


def runs_of(y: Value, *, x: Value, **options: Any) -> Curves:
    """Every run by itself."""
    return Curves(y=y, x=x, band=None, **options)


def theory_of(y: Value, *, x: Value, **options: Any) -> Theory:
    """A line that theory draws."""
    return Theory(y=y, x=x, **options)
