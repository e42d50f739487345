"""Colours, markers and lines: the Okabe-Ito palette, with distinct lightness and markers, so that grey print tells them apart.

>>> LOOKS["wn"].label, looks_of(["gd", "wn"], {})["gd"].line
('WN', '--')
>>> [look.marker for look in looks_of([2.0, 3.0], {}, "$L = {:g}$").values()]
['o', 's']
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

COLOURS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}

WIDTH, SINGLE = 9.6, 5.4
"""Inches: of a figure with several panels and of one with a single panel. All are printed at this size."""

STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": "medium",
    "axes.labelsize": "medium",
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
    "legend.fontsize": "medium",
    "legend.handlelength": 1.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "implicit-bias",
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How one series is drawn; `colour` is a name of the palette, or any that matplotlib knows."""

    label: str
    colour: str
    marker: str = "o"
    line: str = "-"

    @property
    def paint(self) -> str:
        return COLOURS.get(self.colour, self.colour)


LOOKS = {
    "gd": Look("GD", "vermillion", "s", "--"),
    "wn": Look("WN", "blue", "o", "-"),
    "rpgd": Look("rPGD", "sky", "x", ":"),
    "square": Look("square", "blue", "o", "-"),
    "log_cosh": Look("log-cosh", "green", "s", "--"),
    "logistic": Look("logistic", "orange", "^", "-."),
    "exponential": Look("exponential", "purple", "v", ":"),
}
"""Words that look alike in every paper."""

CYCLE = (
    ("blue", "o", "-"),
    ("vermillion", "s", "--"),
    ("green", "^", "-."),
    ("orange", "v", ":"),
    ("purple", "D", "-"),
    ("sky", "P", "--"),
    ("black", "x", ":"),
)


def looks_of(values: Sequence[Any], own: Mapping[Any, Any], name: str = "{}") -> dict[Any, Look]:
    """A look for each value: what the figure says, what every paper says, or the next of the cycle."""
    found, free = {}, 0
    for value in values:
        given = own.get(value, own.get(str(value), LOOKS.get(value) if isinstance(value, str) else None))
        if isinstance(given, str):  # a label alone
            given = dataclasses.replace(LOOKS.get(value, Look("", *CYCLE[free % len(CYCLE)])), label=given)
            free += 1
        elif given is None or isinstance(given, Mapping):  # what is given replaces a part of the next look
            given = dataclasses.replace(Look(name.format(value), *CYCLE[free % len(CYCLE)]), **(given or {}))
            free += 1
        elif not isinstance(given, Look):
            given = Look(*given)
        found[value] = given
    return found
