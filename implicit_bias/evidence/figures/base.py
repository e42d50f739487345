"""Figures: panels made of layers, a caption that states what is seen, one look for the whole laboratory.

Theory as lines, measurement as points with bands over seeds, open markers where runs are missing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..._errors import Mistake
from ..._results import Status
from ..claims import Data, Judgement
from .grey import to_grey
from .layers import Layer, Sheet, grid_of
from .layout import Place, arrange, break_texts, height, name_once, subplots, thin
from .legends import Named, name_levels, place
from .looks import SINGLE, WIDTH
from .panels import Panel, written
from .styles import Style, style_of
from .table import Numbers, drawn_in, read, table_of

_COUNTED = re.compile(r"\{(panels|series)\.count(:word)?\}")
_WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """Panels, in a row or in rows, or `draw(data)` that returns a drawing of matplotlib's; and a caption.

    The caption may be a function of the results, or name their numbers (see `panels`), so that it cannot drift: of what is
    drawn, too, by `{panels.count}` and `{series.count}`, or in a word, `{series.count:word}`. Runs that the panels do not
    show as numbers are counted in its last sentence.
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

    def drawing(self, data: Data, style: str | Style | None = None, width: str | None = None) -> Any:
        """matplotlib's figure, for `house_style(style)`; without a style as on the laboratory's own pages."""
        return self.drawn(data, style, width)[0]

    def drawn(
        self, data: Data, style: str | Style | None = None, width: str | None = None, settled: bool = True
    ) -> tuple[Any, Numbers]:
        """matplotlib's figure, and the numbers that it shows, for which alone nothing has to be settled in its place."""
        style = style_of(style)
        if self.draw is not None:
            return self._drawn_by_function(data, style, width)
        import matplotlib.pyplot as plt

        rows = [[(p, of) for p in row for of in p.facets(data)] for row in self._rows]
        longest = max(len(row) for row in rows)
        inches = style.inches(width, longest)
        own = style.own and width is None
        places = arrange(rows, inches, style, fixed=own)
        down, across = 1 + max(p.row for p in places), 1 + max(p.column for p in places)
        beside = (SINGLE if longest == 1 else WIDTH) / longest
        tall = down * height(down, across, inches, self.height, beside, style)
        drawing, axes = subplots(plt, places, (inches, tall), self.share)
        sheets = [p.panel.draw(one, data, p.of) for p, one in zip(places, axes)]
        name_once(places, axes, self.share)
        for panel in {id(p.panel): p.panel for p in places if p.panel.legend == "right"}.values():
            facets = [one for p, one in zip(places, axes) if p.panel is panel]
            if own:
                panel.name_beside(facets)
            else:
                for one in (one for one in facets if one.get_legend_handles_labels()[1]):
                    one.legend().set_in_layout(False)
        if settled:
            self._settle(drawing, places, sheets, own)
        return drawing, table_of(self.id, sheets)

    def _settle(self, drawing: Any, places: Sequence[Place], sheets: Sequence[Sheet], own: bool) -> None:
        """Texts that fit, names and legends that cover nothing, ticks whose names do not meet."""
        down, across = 1 + max(p.row for p in places), 1 + max(p.column for p in places)
        break_texts(drawing, across, down)
        drawing.draw_without_rendering()
        for sheet in sheets:
            name_levels(sheet)
        more = place(
            drawing,
            [
                Named(sheet.axes, p.panel.legend or "", id(p.panel), p.row, p.column / across, (p.column + 1) / across)
                for p, sheet in zip(places, sheets)
                if not (own and p.panel.legend == "right")
            ],
        )
        if more:
            wide, tall = drawing.get_size_inches()
            drawing.set_size_inches(wide, tall + more)
            drawing.draw_without_rendering()
        thin(drawing)

    def _drawn_by_function(self, data: Data, style: Style, width: str | None) -> tuple[Any, Numbers]:
        drawing = self.draw(data)
        if not style.own or width is not None:
            wide, tall = drawing.get_size_inches()
            inches = style.inches(width, len(drawing.axes))
            drawing.set_size_inches(inches, tall * inches / wide)
        sheets = []
        for axes in drawing.axes:
            if axes.get_label() != "<colorbar>":
                sheet = Sheet(axes, data)
                sheet.notes += read(drawn_in(axes))
                sheet.texts = axes.get_title(), axes.get_xlabel(), axes.get_ylabel()
                sheets.append(sheet)
        return drawing, table_of(self.id, sheets)

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
        if _COUNTED.search(text):
            counts = numbers(self, data).counts
            said = {what: (_WORDS[n] if n < len(_WORDS) else str(n)) for what, n in counts.items()}
            text = _COUNTED.sub(lambda found: said[found[1]] if found[2] else str(counts[found[1]]), text)
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
def house_style(style: str | Style | None = None) -> Iterator[Any]:
    """matplotlib without a display, in the laboratory's look or in a venue's."""
    import matplotlib

    matplotlib.use("agg", force=False)
    import matplotlib.pyplot as plt

    with plt.rc_context(style_of(style).settings):
        yield plt


IMAGE_DOTS = 300
"""To the inch, of what a vector drawing holds as an image."""


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A figure drawn once: its pictures, one for each format asked for, and its numbers."""

    pictures: list[bytes]
    numbers: Numbers


def rendered(
    figure: Figure, data: Data, *formats: str,
    style: str | Style | None = None, width: str | None = None,
    grey: bool = False, title: str | None = None,
) -> Rendered:  # fmt: skip
    """The figure, drawn once, as SVG, PDF or PNG (no date, fixed ids: the same results, the same bytes), with its numbers.

    `title` is kept in the files, where programs that list documents find it; `grey` shows how it prints without colours.
    """
    pictures = []
    with house_style(style) as plt:
        drawing, numbers = figure.drawn(data, style, width)
        if grey:
            to_grey(drawing)
        for format in formats or ("svg",):
            buffer = io.BytesIO()
            dots = None if format == "png" else IMAGE_DOTS  # a PNG has those of its style
            drawing.savefig(buffer, format=format, dpi=dots, metadata=_metadata(format, title))
            pictures.append(buffer.getvalue())
        plt.close(drawing)
    return Rendered(pictures, numbers)


def _metadata(format: str, title: str | None) -> dict[str, Any]:
    titled = {"Title": title} if title else {}
    if format == "svg":
        return {"Date": None, "Creator": None, **titled}
    return {"CreationDate": None, **titled} if format == "pdf" else titled


def render(figure: Figure, data: Data, *formats: str, **how: Any) -> list[bytes]:
    """The pictures of `rendered`."""
    return rendered(figure, data, *formats, **how).pictures


def numbers(figure: Figure, data: Data) -> Numbers:
    """What the figure shows, as a table."""
    with house_style() as plt:
        drawing, found = figure.drawn(data, settled=False)
        plt.close(drawing)
    return found
