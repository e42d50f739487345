"""Figures: panels made of layers, a caption that states what is seen, one look for the whole laboratory.

Theory as lines, measurement as points with bands over seeds, open markers where runs are missing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..._errors import Mistake
from ..._results import Status
from ..claims import Data, Judgement
from .layers import Layer, grid_of
from .looks import SINGLE, STYLE, WIDTH
from .panels import Panel, thin, written


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """Panels, in a row or in rows, or `draw(data)` that returns a drawing of matplotlib's; and a caption.

    The caption may be a function of the results, or name their numbers (see `panels`), so that it cannot drift. Runs that
    the panels do not show as numbers are counted in its last sentence.
    """

    id: str
    caption: str | Callable[[Data], str]
    panels: Sequence[Panel | Sequence[Panel]] = ()
    draw: Callable[[Data], Any] | None = None
    claims: Sequence[str] = ()
    """Ids of the claims whose verdicts the caption should carry."""
    share: str = ""
    """Axes that the panels of a row have in common: "y", or "xy" for those of a column, too."""
    height: float = 3.7
    """Inches, of one row."""

    def __post_init__(self):
        if bool(self.panels) == (self.draw is not None):
            raise Mistake("figure", f"{self.id} has {'both' if self.panels else 'neither'} of panels and draw", "give one")

    @property
    def _rows(self) -> list[list[Panel]]:
        if not any(isinstance(row, Sequence) for row in self.panels):
            return [list(self.panels)]
        return [list(row) if isinstance(row, Sequence) else [row] for row in self.panels]

    def drawing(self, data: Data) -> Any:
        """matplotlib's figure."""
        if self.draw is not None:
            return self.draw(data)
        import matplotlib.pyplot as plt

        rows = [[(p, of) for p in row for of in p.facets(data)] for row in self._rows]
        across = max(len(row) for row in rows)
        size = (SINGLE if across == 1 else WIDTH, self.height * len(rows))
        drawing, axes = plt.subplots(
            len(rows), across, figsize=size, squeeze=False,
            sharey="row" if "y" in self.share else False, sharex="col" if "x" in self.share else False,
        )  # fmt: skip
        for place, row in zip(axes, rows):
            for one, (shown, of) in zip(place, row):
                shown.draw(one, data, of)
            for beside in (p for p, _ in row if p.legend == "right"):
                beside.name_beside([one for one, (p, _) in zip(place, row) if p is beside])
            for unused in place[len(row) :]:
                unused.set_visible(False)
            if "y" in self.share:
                for one in place[1:]:
                    one.set_ylabel("")
        if "x" in self.share:
            for one in axes[:-1].ravel():
                one.set_xlabel("")
        thin(drawing)
        return drawing

    def caption_for(self, data: Data, judgements: Sequence[Judgement]) -> str:
        text = self.caption(data) if callable(self.caption) else self._written(data)
        said = [
            f"{j.claim.id}: {j.verdict}{' (as expected)' if j.as_expected and j.verdict != 'supported' else ''}"
            for j in judgements
            if j.claim.id in self.claims
        ]
        parts = [text, *self._missing(data), *([f"Verdicts: {'; '.join(said)}."] if said else [])]
        return " ".join(parts)

    def _layers(self) -> list[Layer]:
        return [layer for row in self._rows for p in row for layer in p.layers]

    def _written(self, data: Data) -> str:
        text = str(self.caption)
        for layer in self._layers():
            if (ds := grid_of(data, layer.on)) is not None:
                text = written(text, ds)
        return text

    def _missing(self, data: Data) -> list[str]:
        """One sentence for each grid of which runs are shown: how many are no number there, and how they ended."""
        accepted: dict[str | None, set[int]] = {}
        for layer in self._layers():
            if layer.counts and layer.accepts is not None and grid_of(data, layer.on) is not None:
                accepted.setdefault(layer.on, set()).update(map(int, layer.accepts))
        said = []
        for on, statuses in accepted.items():
            status = grid_of(data, on)["status"].values.ravel()
            ends = Counter(Status(int(s)).label for s in status if s not in statuses and s != Status.ABSENT)
            if ends:
                of = f" of {on}" if len(accepted) > 1 else ""
                how = ", ".join(f"{n:,} {end}" for end, n in ends.most_common())
                said.append(f"{sum(ends.values()):,} of {status.size:,} runs{of} are left out: {how}.")
        return said


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
        drawing = figure.drawing(data)
        for format in formats or ("svg",):
            buffer = io.BytesIO()
            metadata = {"Date": None, "Creator": None} if format == "svg" else {}
            drawing.savefig(buffer, format=format, metadata=metadata)
            pictures.append(buffer.getvalue())
        plt.close(drawing)
    return pictures
