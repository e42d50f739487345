"""A study's page with its drawings, and the index of all studies: written from results, and not again while true."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence

from . import catalogue, sources
from ._errors import Mistake
from ._files import FilePath
from .evidence import report
from .evidence.figures import Figure, render
from .evidence.page import write_page
from .session import Judged, drawn_in, newest_verdicts
from .library import PAGE, studies_in
from .sweep.ask import names
from .sweep.ask.names import plan_of


def _drawn(judged: Judged) -> list[tuple[Figure, bytes, bytes]]:
    """The study's figures that these results can draw, as SVG and PNG. The others are named in a warning each."""
    drawn = []
    for figure in judged.study.figures:
        try:
            svg, png = render(figure, judged.data, "svg", "png")
            figure.caption_for(judged.data, judged.judgements)
        except Exception as error:
            judged.not_drawn.append(figure.id)
            text = f"{judged.name}: {figure.id} cannot be drawn from these results ({catalogue.blame(error)})"
            warnings.warn(text, stacklevel=2)
            continue
        drawn.append((figure, svg, png))
    return drawn


def write_report(judged: Judged) -> FilePath:
    """The study's page and its figures as files beside it; nothing is drawn if they are there as they would be drawn."""
    where = names.place_of_page(judged.store, judged.plan)
    if not judged.again and drawn_in(judged.kept, judged.folder) and f"{where}{PAGE}" in judged.kept.page:
        return judged.folder / f"{where}{PAGE}"
    label = names.label(judged.store, judged.plan)
    replays = {j.claim.id: names.replay(judged.store, label, judged.document, j.where) for j in judged.judgements if j.where}
    with sources.listening():
        drawn = _drawn(judged)
        page = report.study_page(
            name=judged.name,
            statement=judged.statement,
            data=judged.data,
            judgements=judged.judgements,
            figures=[(figure, svg) for figure, svg, _ in drawn],
            document=judged.document,
            label=label,
            command=names.again(judged.store, judged.plan, judged.document),
            replays={claim: command for claim, command in replays.items() if command},
        )
    files = {f"{where}{PAGE}": page.encode()}
    for figure, svg, png in drawn:
        files |= {f"{where}figures/{figure.id}.svg": svg, f"{where}figures/{figure.id}.png": png}
    for name, content in files.items():
        write_page(judged.folder / name, content)
    made = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    judged.keep(page={} if judged.not_drawn else made)
    return judged.folder / f"{where}{PAGE}"


def write_index(out: FilePath, known: Sequence[Judged] = ()) -> FilePath:
    """`index.html` over every study that has results in `out`, from the files of their verdicts: none is judged for it.

    Where those are not true of its results and its code any more, or not there, the index says so.
    """
    judged_now = {(judged.name, judged.plan.name): judged.kept for judged in known}
    listed = []
    for study, folder in studies_in(out):
        try:
            entry = catalogue.find(study)
        except Mistake:  # its file has gone elsewhere: there is nobody to judge it
            continue
        store, plan = plan_of(folder)
        kept = judged_now.get((entry.name, plan.name)) or newest_verdicts(entry, plan)
        where, said = names.place_of_page(store, plan), names.label(store, plan)
        listed.append(
            report.Entry(
                name=entry.name if said == names.LAPTOP else f"{entry.name}@{said}",
                statement=entry.docstring.strip(),
                href=f"{entry.name}/{where}{PAGE}",
                runs=kept.runs if kept else 0,
                judgements=kept.judgements if kept else None,
            )
        )
    write_page(out / "index.html", report.index_page(listed))
    return out / "index.html"
