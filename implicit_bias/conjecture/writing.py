r"""A candidate as claims in Python: a module with `CLAIMS`, whose text is what is printed, kept and judged.

A power law is claimed by its exponents (`Exponent`), everything else run by run (`Identity`), inside the ranges that were seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .._results import Status
from .candidate import WITHIN, Candidate, nearest, short
from .forms import Latex, symbol
from .measured import Measured


def written(c: Candidate, m: Measured, study: str, accepts: Sequence[Status], tolerance: float) -> str:
    """The claims of a candidate in Python: `CLAIMS`, of a dataset that has the quantity."""
    quantity = f'ib.curves.last(ds["{m.name}"])' if m.recorded else f'ds["{m.name}"]'
    ends = ", ".join(f"ib.Status.{s.name}" for s in accepts)
    ranges = ", ".join(
        rf'r"${Latex.number(low)} \le {symbol(n)} \le {Latex.number(high)}$": '
        f"np.minimum(ds.{n} - {low!r}, {high!r} - ds.{n}) + 1e-9 * abs(ds.{n})"
        for n, (low, high) in m.range.items()
    )
    if c.known:
        ranges += f', "$F$ is known there": {c.known}'
    head = [
        "import numpy as np", "", "import implicit_bias as ib", "",
        f'"""Of {m.name} in {study}: conjectured from {int(m.fitted.sum())} seeds, judged on {int((~m.fitted).sum())} others',
        'and beyond the fitted axes."""',
        "", "", "def where(ds):", f"    return {{{ranges}}}", "", "",
    ]  # fmt: skip
    shared = f'source="conjectured", accepts=({ends},), hypotheses=where'
    said = c.said.replace("q", rf"\mathtt{{{m.name}}}".replace("_", r"\_").replace(".", r"."), 1)
    if c.exponents:
        lines = ["CLAIMS = ["]
        for axis, (value, half) in c.exponents.items():
            near, within = nearest(value, half), max(WITHIN, 2 * half)
            lines += [
                "    ib.Claim(", f'        id="{m.name}-is-a-power-of-{axis}", {shared},'.replace("_", "-", 0),
                f"        statement=r\"${said}$, of ${symbol(axis)}$: {short(near)}\",",
                f'        kind=ib.Exponent(against="{axis}", value={float(near):.10g}, within={min(within, 0.25):.4g}),',
                f"        residual=lambda ds: abs({quantity}),",
                f'        because="simultaneous 95 % interval {value:.6g} +- {half:.2g} over seeds and points",', "    ),",
            ]  # fmt: skip
        return _as_numbers("\n".join([*head, *lines, "]", ""]), m)
    lines = [*([c.prelude, "", ""] if c.prelude else []), "def said(ds):", f"    return {c.text}", "", "", "def off(ds):"]
    if c.link == "log":
        lines.append(f"    rest = np.log(abs({quantity}) / said(ds))")
    else:
        lines.append(f"    rest = ({quantity} - said(ds)) / {m.reach:.6g}")
    axes = ", ".join(f'"{n}"' for n in m.axes)
    if c.known:
        lines.append(f"    rest = rest.where({c.known} >= 0)")
    lines.append(f"    return abs(rest - rest.mean([{axes}]))" if c.free else "    return abs(rest)")
    lines += [
        "", "", "CLAIMS = [", "    ib.Claim(", f'        id="{m.name}-{c.sort.replace(" ", "-")}", {shared},',
        f'        statement=r"${said}$",', "        residual=off,", f"        tolerance=lambda ds: {tolerance:.3g},",
        '        because="1.5 times what it was off where it was fitted; the doubt of its numbers; noise of a run",',
        "    ),", "]", "",
    ]  # fmt: skip
    return _as_numbers("\n".join([*head, *lines]), m)


def _as_numbers(text: str, m: Measured) -> str:
    """Axes of whole numbers, which results hold as words, as numbers."""
    for name in m.words:
        text = re.sub(rf"\bds\.{name}\b", f"ds.{name}.astype(float)", text)
    return text
