"""A claim's runs as points: how near each came to its tolerance, against the slack of the hypothesis that it meets least.

    y = residual / tolerance, on a log scale with the line at 1      (the residual itself of a kind without a tolerance)
    x = min over the hypotheses of the slack, inside from 0 on       (asinh scale: slacks have no common unit)

A kind that looks at a trend has its axis drawn beside it; a claim of neither is drawn in the order of its grid. Written
as SVG by hand, because a page has dozens: tested runs are dots, runs outside are hollow squares, runs inside that ended
badly are crosses, so that they are told apart without colour. Marks on one point of the drawing are one mark, and points
are made coarser until there are few enough to print.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ..._lazy import lazy
from ..claims import Claim, Weighed
from .markup import Markup, element, join, note

xr = lazy("xarray")

WIDTH, HEIGHT = 200, 90
"""Of the frame, in CSS pixels."""
_LEFT, _TOP, _BELOW = 40, 8, 32
MOST = 700
"""Marks of one sort in one drawing."""
_DECADES = 6
"""Below the line, and above: what lies further is drawn at the edge."""

_MARKS: dict[str, tuple[str, Callable[[int, int], str]]] = {
    "outside": ("\u25a1", lambda x, y: f"M{x - 1} {y - 1}h3v3h-3z"),
    "ended badly": ("\u00d7", lambda x, y: f"M{x - 2} {y - 2}l4 4m0-4l-4 4"),
    "tested": ("\u25cf", lambda x, y: f"M{x} {y}h0"),
}
"""Sort of run -> its mark in words, and as part of a path. The last one is on top."""


@dataclasses.dataclass(frozen=True)
class _Axis:
    """Where numbers stand, from 0 to 1; nan where one has no place."""

    at: np.ndarray
    label: str
    low: str
    high: str
    line: float | None = None
    """Where the number that matters stands."""
    name: str = ""
    """What stands at the line."""


def _said(value: float) -> str:
    return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e")


def _logarithmic(values: np.ndarray, label: str, line: float | None = None) -> _Axis:
    """Edges hold what is beyond them: 0 and less below, infinity above."""
    with np.errstate(all="ignore"):
        logs = np.log10(values)
        logs = np.where(values <= 0, -np.inf, logs)
    seen = logs[np.isfinite(logs)]
    centre = 0.0 if line is not None else float(np.median(seen)) if seen.size else 0.0
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (centre, centre)
    low, high = max(np.floor(min(low, centre)), centre - _DECADES), min(np.ceil(max(high, centre)), centre + _DECADES)
    low, high = (low - (low == centre), high + (high == centre)) if line is not None else (low, high + (high == low))
    at = np.where(np.isnan(values), np.nan, np.clip((logs - low) / (high - low), 0, 1))
    ends = [("\u2264" if np.any(logs < low) else "") + _said(10**low), ("\u2265" if np.any(logs > high) else "") + _said(10**high)]
    return _Axis(at, label, *ends, None if line is None else -low / (high - low), "" if line is None else "1")


def _linear(values: np.ndarray, label: str, line: float | None = None) -> _Axis:
    seen = values[np.isfinite(values)]
    kept = [*seen, *([] if line is None else [line])] or [0.0]
    low, high = float(min(kept)), float(max(kept))
    width = high - low or 1.0
    at = np.where(np.isnan(values), np.nan, np.clip((values - low) / width, 0, 1))
    return _Axis(at, label, _said(low), _said(low + width), None if line is None else (line - low) / width, "0")


def _signed(slack: np.ndarray) -> _Axis:
    """asinh, so that the edge of a hypothesis is seen whatever its unit; a slack that is nan is not met."""
    size = np.abs(slack[np.isfinite(slack) & (slack != 0)])
    unit = float(np.quantile(size, 0.2)) if size.size else 1.0
    bent = np.arcsinh(np.where(np.isnan(slack), -np.inf, slack) / unit)
    seen = [*bent[np.isfinite(bent)], 0.0]
    low, high = min(seen), max(seen)
    width = high - low or 1.0
    return _Axis(
        np.clip((bent - low) / width, 0, 1), "tightest slack", _said(np.sinh(low) * unit) if low < 0 else "",
        _said(np.sinh(high) * unit) if high > 0 else "", -low / width, "0",
    )  # fmt: skip


def _along(values: np.ndarray, name: str) -> _Axis:
    positive = bool((values > 0).all()) and values.max() > 8 * values.min()
    return (_logarithmic if positive else _linear)(values.astype(float), name)


def _height(claim: Claim, runs: Weighed) -> _Axis:
    """Of a kind without a tolerance the residual: on a log scale where its logarithm is what counts, else about 0."""
    if claim.kind.uses_tolerance:
        return _logarithmic(runs.ratio.values.ravel(), claim.ratio_is, line=1.0)
    residual = runs.residual.values.ravel()
    return (_logarithmic if claim.kind.axis else lambda v, s: _linear(v, s, 0.0))(residual, "residual")


def _sides(claim: Claim, runs: Weighed) -> list[_Axis]:
    """What the points are drawn against: one drawing each."""
    sides, axis = [], claim.kind.axis
    if runs.slacks:
        sides.append(_signed(np.min([slack.values.ravel() for slack in runs.slacks.values()], 0)))
    if axis in runs.residual.dims and runs.residual[axis].dtype.kind in "fiu":
        along = runs.residual[axis].broadcast_like(runs.residual).transpose(*runs.residual.dims)
        sides.append(_along(along.values.ravel(), str(axis)))
    order = np.arange(runs.residual.size, dtype=float)
    return sides or [dataclasses.replace(_linear(order, "runs, in the order of the grid"), low="", high="")]


def _sorts(runs: Weighed) -> dict[str, np.ndarray]:
    met, computed = runs.met(), runs.computed
    inside = met & computed
    said = {
        "outside": computed & ~met,
        "ended badly": inside & ~runs.accepted,
        "tested": inside & runs.accepted & runs.defined,
    }
    return {name: which.values.ravel() for name, which in said.items()}


def _points(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int]]:
    """Pixels of the frame, each once; coarser where there are too many."""
    for step in (1, 2, 3, 4, 6, 8):
        places = np.stack([np.round(x * WIDTH / step), np.round((1 - y) * HEIGHT / step)], -1)
        found = np.unique(places, axis=0)
        if len(found) <= MOST:
            break
    return [(_LEFT + int(a) * step, _TOP + int(b) * step) for a, b in found]


def _drawing(x: _Axis, y: _Axis, sorts: dict[str, np.ndarray], said: str) -> Markup:
    right, bottom = _LEFT + WIDTH, _TOP + HEIGHT
    lines = []
    if y.line is not None:
        at = round(bottom - y.line * HEIGHT)
        lines.append(element("path", d=f"M{_LEFT} {at}h{WIDTH}", class_="limit"))
        lines.append(element("text", y.name, x=_LEFT - 4, y=at + 4, text_anchor="end"))
    if x.line is not None:
        at = round(_LEFT + x.line * WIDTH)
        lines.append(element("path", d=f"M{at} {_TOP}v{HEIGHT}", class_="edge"))
        if 24 < at - _LEFT < WIDTH - 24 or not (x.low and x.high):
            lines.append(element("text", x.name, x=at, y=bottom + 13, text_anchor="middle"))
    marks = []
    for name, which in sorts.items():
        drawn = which & np.isfinite(x.at) & np.isfinite(y.at)
        path = "".join(_MARKS[name][1](*p) for p in _points(x.at[drawn], y.at[drawn])) if drawn.any() else ""
        marks.append(element("path", d=path, class_=name.replace(" ", "-")) if path else "")
    ends = [  # where the line's name is near, it is enough
        element("text", text, x=_LEFT - 4, y=at + 4, text_anchor="end")
        for text, at, place in ((y.low, bottom, 0.0), (y.high, _TOP, 1.0))
        if y.line is None or abs(place - y.line) > 0.12
    ]
    below = [
        element("text", x.low, x=_LEFT, y=bottom + 13, text_anchor="start") if x.low else "",
        element("text", x.high, x=right, y=bottom + 13, text_anchor="end") if x.high else "",
        element("text", x.label, x=_LEFT + WIDTH // 2, y=bottom + 27, text_anchor="middle"),
    ]
    frame = element("path", d=f"M{_LEFT} {_TOP}v{HEIGHT}h{WIDTH}", class_="frame")
    size = f"0 0 {right + 6} {bottom + _BELOW}"
    label = f"{y.label} against {x.label}: {said}"
    return element("svg", frame, *lines, *marks, *ends, *below, viewBox=size, role="img", aria_label=label, class_="scatter")


def scatter(claim: Claim, runs: Weighed) -> Markup:
    """The drawings of a claim's runs, and what their marks are; nothing where no run is computed."""
    sorts, height = _sorts(runs), _height(claim, runs)
    counts = {name: int(which.sum()) for name, which in sorts.items() if which.any()}
    if not counts:
        return Markup()
    shown = dict(reversed(counts.items()))
    unseen = int(sum((which & ~np.isfinite(height.at)).sum() for which in sorts.values()))
    said = ", ".join(f"{count:,} {name}" for name, count in shown.items())
    marks = ", ".join(f"{_MARKS[name][0]}\u00a0{count:,} {name}" for name, count in shown.items())
    about = f"{height.label} of {marks}" + f"; {unseen:,} without a number, not drawn" * (unseen > 0)
    drawings = [_drawing(side, height, sorts, said) for side in _sides(claim, runs)]
    return element("div", element("div", *drawings, class_="drawings"), note(join(about)), class_="runs")
