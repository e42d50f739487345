"""What a notebook shows of a study: verdicts, a figure with its caption. Text where there is none.

Each has a plain `repr`, for a terminal, and `_repr_html_`, which Jupyter takes: the markup of the study's page, with a
style of its own that holds in a light theme and in a dark one. Without that style (a notebook that is not trusted loses
it) the table is still a table, and a verdict a word with its mark.

>>> verdicts = Judgements("mine/lemma", [])
>>> verdicts, len(verdicts), verdicts.as_expected
(mine/lemma: no claims, 0, True)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import overload

from ._errors import Mistake, nearest
from .evidence.page.cards import badge, number, outcome, tally
from .evidence.claims import Data, Judgement
from .evidence.console import verdict_table
from .evidence.figures import Figure
from .evidence.page.markup import Markup, element, inline_svg, join, note, table
from .evidence.tex import plain, typeset

# A notebook's own rules for tables name two classes: so do these.
STYLE = Markup("""<style>
.implicit-bias { max-width: 64rem; line-height: 1.45; }
.implicit-bias p { margin: .3rem 0; }
.implicit-bias .scroll { overflow-x: auto; }
.implicit-bias table { border-collapse: collapse; margin: .5rem 0; width: 100%; font-size: inherit; }
.implicit-bias.implicit-bias table :is(th, td) { padding: .5rem .75rem; text-align: left; vertical-align: top;
  white-space: normal; font-weight: normal; max-width: none; border: 0;
  border-bottom: 1px solid rgba(128, 128, 128, .4); }
.implicit-bias.implicit-bias table thead th { vertical-align: bottom; border-bottom: 2px solid; }
.implicit-bias.implicit-bias table :is(th, td).n { text-align: right; }
.implicit-bias.implicit-bias table th:first-child { width: 46%; }
.implicit-bias .note { font-size: .85em; opacity: .8; }
.implicit-bias .verdict { display: inline-block; padding: 0 .4rem; border: 1px solid; border-radius: .25rem; }
.implicit-bias .good { border: 2px solid #2e8b57; }
.implicit-bias .against { color: #fff; background: #9b1c1c; border-color: #9b1c1c; font-weight: bold; }
.implicit-bias figcaption { max-width: 46rem; margin: .5rem 0; }
.implicit-bias svg { display: block; width: 100%; max-width: var(--printed); height: auto; background: #fff; }
.implicit-bias svg * { stroke-linejoin: round; stroke-linecap: butt; }
</style>""")


class Judgements(Sequence[Judgement]):
    """The verdicts of a study's claims on some results: by place, or by the claim's id."""

    def __init__(self, study: str, judgements: Sequence[Judgement]):
        self.study, self._judgements = study, tuple(judgements)

    @property
    def as_expected(self) -> bool:
        """Whether every verdict is the one that its claim expects."""
        return all(j.as_expected for j in self._judgements)

    @overload
    def __getitem__(self, key: int | str) -> Judgement: ...

    @overload
    def __getitem__(self, key: slice) -> Judgements: ...

    def __getitem__(self, key: int | str | slice) -> Judgement | Judgements:
        if isinstance(key, slice):
            return Judgements(self.study, self._judgements[key])
        if isinstance(key, str):
            known = {j.claim.id: j for j in self._judgements}
            if key not in known:
                remedy = nearest(key, known) if known else "give the study `claims=[...]`"
                raise Mistake("claim", f"{self.study} has no claim {key!r}", remedy)
            return known[key]
        return self._judgements[key]

    def __len__(self) -> int:
        return len(self._judgements)

    def __repr__(self) -> str:
        return verdict_table(self.study, self._judgements, measured=True)

    def _repr_html_(self) -> str:
        said = element("p", element("b", self.study), ". ", outcome(self._judgements), tally(self._judgements))
        head = ["Verdict and claim", "Runs tested", "Worst residual / tolerance", "Measured"]
        rows = table("Verdicts", head, map(_row, self._judgements), numeric=(1, 2)) if self._judgements else Markup()
        return element("div", STYLE, said, rows, class_="implicit-bias")


def _row(j: Judgement) -> tuple[Markup, Markup, Markup, str]:
    claim = j.claim
    said = join(badge(j), " ", element("code", claim.id), element("p", typeset(claim.statement)), note(claim.source))
    of = f"of {j.inside:,} inside the hypotheses" if j.inside else "none inside the hypotheses"
    counts = ((j.outside, "outside"), (j.ended_badly, "ended badly"), (j.undefined, "undefined"), (j.absent, "absent"))
    runs = join(f"{j.tested:,}", note(of), *(note(f"{n:,} {word}") for n, word in counts if n))
    where = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in j.where.items())
    return said, runs, join(number(j.worst), note("at ", where) if where else ""), j.measured


def figure_html(figure: Figure, svg: str, data: Data, judgements: Sequence[Judgement]) -> str:
    """A drawing with its caption below, and the verdicts of the claims that it is evidence of."""
    caption = figure.caption_for(data, [])
    own = f"f{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"  # ids of two figures of a notebook are not the same
    judged = [j for j in judgements if j.claim.id in figure.claims]
    verdicts = (join(badge(j), " ", element("code", j.claim.id), " ") for j in judged)
    below = element("figcaption", typeset(caption), element("p", *verdicts) if judged else Markup())
    return element("figure", STYLE, inline_svg(svg, own, plain(caption)), below, class_="implicit-bias")
