"""What of a study was edited since its runs were computed: their verdicts are about the study of before.

A claim that was edited is judged anew on the same runs. A cell that was edited has other runs, which `run` computes;
until then `check` and `report` judge those that are there, and say so.
"""

from __future__ import annotations

from ._errors import Mistake
from .study import Study
from .sweep.ask.document import Document
from .sweep.ask.grid import parse
from .sweep.ask.keywords import defaults, encoded
from .sweep.ask.plan import describe
from .sweep.ask.wording import same


def edited(study: Study, document: Document) -> str:
    """In words; none if today the study would ask for the runs of this plan, as far as can be told without tracing it."""
    found = []
    if not same(document.get("wording", ""), study.wording):
        found.append("what a run does")
    if request := document.get("request"):  # else it was asked for in Python, and by whom is not known
        try:
            settings = {name: parse(name, text) for name, text in request["settings"].items()}
            grids, fixed = study.resolve(settings, request["size"])
        except Mistake:
            return ", ".join([*found, "its axes"])
        if [describe(grid) for grid in grids] != document["grids"]:
            found.append("its grid")
        if encoded(defaults(study.cell) | fixed) != document["keywords"]:
            found.append("a keyword's default")
    return ", ".join(found)
