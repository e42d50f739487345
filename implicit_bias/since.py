"""What of a study was edited since its runs were computed: their verdicts are about the study of before.

A claim that was edited is judged anew on the same runs. A cell that was edited has other runs, which `run` computes;
until then `check` and `report` judge those that are there, and say so. Of runs that were asked for in Python nothing is
told: which file they are of is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._errors import Mistake
from .study import Study
from .sweep.ask.document import Document
from .sweep.ask.grid import parse
from .sweep.ask.keywords import defaults, encoded
from .sweep.ask.plan import describe
from .wording import wording


def edited(study: Study, file: Path, document: Document) -> str:
    """In words; none if today the study would ask for the runs of this plan, as far as can be told without tracing it."""
    request, before = document.get("request"), document.get("wording")
    if not request:
        return ""
    found = []
    if before and (now := wording(file)) and now != before:
        found.append("what a run does")
    try:
        settings = {name: parse(name, text) for name, text in request["settings"].items()}
        grids, fixed = study.resolve(settings, request["size"])
    except Mistake:
        return ", ".join([*found, "its axes"])
    today = [describe(grid) for grid in grids]
    if len(today) != len(document["grids"]) or not all(map(_alike, today, document["grids"])):
        found.append("its grid")
    if encoded(defaults(study.cell) | fixed) != document["keywords"]:
        found.append("a keyword's default")
    return ", ".join(found)


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two grids, as plans write them, have the same values; of a computed one the last bits are the machine's."""
    if (one["name"], one["order"]) != (other["name"], other["order"]):
        return False
    for a, b in ((one["axes"][axis], other["axes"][axis]) for axis in one["order"]):
        if a["traced"] != b["traced"] or a["labels"] != b["labels"]:
            return False
        values = zip(a["values"], b["values"])
        if a["traced"] and not all(math.isclose(*map(float.fromhex, pair), rel_tol=1e-12) for pair in values):
            return False
    return True
