"""Figures: a caption that states what is seen, and a function from results to a drawing.

One look for the whole laboratory: the Okabe-Ito palette (told apart by colour-blind readers), distinct lightness and
markers (told apart in grey), theory as lines, measurement as points with bands over seeds, open markers for runs that
were capped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .claims import Data, Judgement

COLOURS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}

STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 10,
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """`draw(data)` returns a matplotlib figure; `caption` may be a function of the data, so that it cannot drift."""

    id: str
    draw: Callable[[Data], Any]
    caption: str | Callable[[Data], str]
    claims: Sequence[str] = ()
    """Ids of the claims whose verdicts the caption should carry."""

    def caption_for(self, data: Data, judgements: Sequence[Judgement]) -> str:
        text = self.caption(data) if callable(self.caption) else self.caption
        said = [
            f"{j.claim.id}: {j.verdict}{' (as expected)' if j.as_expected and j.verdict != 'supported' else ''}"
            for j in judgements
            if j.claim.id in self.claims
        ]
        return f"{text} Verdicts: {'; '.join(said)}." if said else text


def edges(values: Any, log: bool = False) -> np.ndarray:
    """The edges of cells around ascending values, for `pcolormesh`; of one value, too.

    >>> edges([1, 2, 4]).tolist(), edges([10.0, 1000.0], log=True).round().tolist(), edges([3]).tolist()
    ([0.5, 1.5, 3.0, 5.0], [1.0, 100.0, 10000.0], [2.5, 3.5])
    """
    at = np.log(values) if log else np.asarray(values, dtype=float)
    half = np.diff(at) / 2 if at.size > 1 else np.array([0.5])
    found = np.concatenate([at[:1] - half[0], at[:-1] + half[: at.size - 1], at[-1:] + half[-1]])
    return np.exp(found) if log else found


@contextlib.contextmanager
def house_style() -> Iterator[Any]:
    """matplotlib without a display, in the laboratory's look."""
    import matplotlib

    matplotlib.use("agg", force=False)
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        yield plt


def render(figure: Figure, data: Data, *formats: str) -> list[bytes]:
    """The figure, drawn once, as SVG (no date, fixed ids: the same bytes for the same results) or PNG."""
    pictures = []
    with house_style() as plt:
        drawing = figure.draw(data)
        for format in formats or ("svg",):
            buffer = io.BytesIO()
            metadata = {"Date": None, "Creator": None} if format == "svg" else {}
            drawing.savefig(buffer, format=format, metadata=metadata)
            pictures.append(buffer.getvalue())
        plt.close(drawing)
    return pictures
