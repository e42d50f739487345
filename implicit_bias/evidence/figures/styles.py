"""Where a figure is printed: the widths of a venue, the size of its text, and the look of the laboratory's own pages.

A style is drawn at the width at which it is printed, so that a size of text is what a reader measures: 8 pt at every
venue. Fonts are those that every matplotlib brings along (STIX, which goes with Times; what it lacks is from DejaVu), so
that the same results give the same bytes on any machine with one matplotlib. PDF embeds them as TrueType, which all
venues take; SVG has text as outlines, so that no program has to have the font.

>>> style_of("icml").inches("column", across=3), style_of("lab").inches(None, across=1)
(3.25, 5.4)
>>> style_of("nips")
Traceback (most recent call last):
implicit_bias._errors.Mistake: style: there is no 'nips'; did you mean 'neurips'?
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..._errors import Mistake, nearest
from .looks import SINGLE, STYLE, WIDTH

WIDTHS = ("column", "page")
FORMATS = ("pdf", "svg", "png")


@dataclasses.dataclass(frozen=True)
class Style:
    """Widths in inches; a venue of one column has one width for both words."""

    name: str
    column: float
    page: float
    tall: float = 9.0
    """Inches of text on a page: no figure is taller, less a few lines for its caption."""
    text: float = 8.0
    """Points."""

    @property
    def own(self) -> bool:
        """Whether it is the laboratory's page, which has one width for one panel and one for several."""
        return self.name == "lab"

    def inches(self, width: str | None, across: int) -> float:
        """The width of a drawing with that many panels in a row, if a row is wide enough for them."""
        if width is not None and width not in WIDTHS:
            raise Mistake("width", f"there is no {width!r}", nearest(width, WIDTHS))
        if width is None:
            return self.page if self.own and across > 1 else self.column
        return self.page if width == "page" else self.column

    @property
    def settings(self) -> dict[str, Any]:
        """matplotlib's, over the look of the laboratory."""
        if self.own:
            return STYLE
        return {
            **STYLE,
            "font.family": ["STIXGeneral", "DejaVu Serif"],
            "mathtext.fontset": "stix",
            "font.size": self.text,
            "axes.titlesize": self.text,
            "axes.labelsize": self.text,
            "xtick.labelsize": self.text,
            "ytick.labelsize": self.text,
            "legend.fontsize": self.text,
            "figure.titlesize": self.text,
            "lines.linewidth": 1.6 * PEN,
            "lines.markersize": 4.5 * PEN,
            "axes.linewidth": 0.5,
            "grid.linewidth": 0.4,
            "xtick.major.width": 0.5,
            "ytick.major.width": 0.5,
            "xtick.minor.width": 0.35,
            "ytick.minor.width": 0.35,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "xtick.minor.size": 1.5,
            "ytick.minor.size": 1.5,
            "xtick.major.pad": 2,
            "ytick.major.pad": 2,
            "axes.labelpad": 2,
            "axes.titlepad": 3,
            "legend.handlelength": 1.7,
            "legend.handletextpad": 0.5,
            "legend.columnspacing": 1.0,
            "legend.labelspacing": 0.25,
            "legend.borderpad": 0.2,
            "figure.constrained_layout.w_pad": 0.03,
            "figure.constrained_layout.h_pad": 0.02,
            "figure.dpi": 110,
            "savefig.dpi": 300,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "path",
        }


PEN = 0.72
"""Lines and markers of a venue against those of the page."""

STYLES = {
    style.name: style
    for style in (
        Style("lab", SINGLE, WIDTH, tall=30.0, text=9.0),
        # \textwidth and \columnwidth of the venues' own LaTeX styles, in inches as `tueplots` has them, too
        Style("neurips", 5.5, 5.5),
        Style("icml", 3.25, 6.75),
        Style("iclr", 5.5, 5.5),
        Style("jmlr", 6.0, 6.0, tall=8.5),
        Style("siam", 5.125, 5.125, tall=8.25),  # siamart's; recalled, not measured
    )
}
VENUES = [name for name in STYLES if name != "lab"]


def style_of(name: str | Style | None) -> Style:
    """A style by its name; the laboratory's own where none is named."""
    if isinstance(name, Style):
        return name
    if name is not None and name not in STYLES:
        raise Mistake("style", f"there is no {name!r}", nearest(str(name), STYLES))
    return STYLES[name or "lab"]
