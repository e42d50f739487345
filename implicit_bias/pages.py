"""A study's page with its drawings, and the index of all studies: written from results, and not again while true."""

from __future__ import annotations

import hashlib
import os
import shlex
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import catalogue, sources
from ._errors import Mistake
from ._files import FilePath, is_local
from .cite import laboratory
from .evidence.page import report
from .evidence.claims import Weighed, weigh
from .evidence.figures import rendered
from .evidence.page.markup import write_page
from .session import Judged, drawn_in, newest_verdicts
from .library import PAGE, studies_in
from .sweep.ask import names
from .sweep.ask.names import plan_of


def _drawn(judged: Judged) -> list[tuple[report.Shown, bytes]]:
    """The study's figures that these results can draw, with the bytes of their PNG. The others are named in a warning each."""
    drawn = []
    for figure in judged.study.figures:
        try:
            found = rendered(figure, judged.data, "svg", "png")
            figure.caption_for(judged.data, judged.judgements)
        except Exception as error:
            judged.not_drawn.append(figure.id)
            text = f"{judged.name}: {figure.id} cannot be drawn from these results ({catalogue.blame(error)})"
            warnings.warn(text, stacklevel=2)
            continue
        svg, png = found.pictures
        drawn.append((report.Shown(figure, svg, found.numbers), png))
    return drawn


def _weighed(judged: Judged) -> dict[str, Weighed]:
    """What each claim says run by run, of those whose grid was asked for."""
    of = {claim.id: (claim, claim.of(judged.data)) for claim in judged.study.claims}
    return {name: weigh(claim, ds) for name, (claim, ds) in of.items() if ds is not None}


def _replay(judged: Judged, label: str) -> tuple[Sequence[str], Sequence[str]] | None:
    """What stands before and after the axes in the command that replays a run of these results."""
    axes = {axis: "0" for grid in judged.document["grids"] for axis in grid["order"]}
    command = names.replay(judged.store, label, judged.document, axes)
    if command is None:
        return None
    words = shlex.split(command)
    return words[:3], words[3 + len(axes) :]


def _siblings(name: str) -> list[str]:
    """The other studies of a study's paper."""
    known = [entry for entry in catalogue.entries() if "/" in name and entry.paper == name.partition("/")[0]]
    return [entry.name for entry in known if entry.name != name]


def write_report(judged: Judged) -> FilePath:
    """The study's page and its figures as files beside it; nothing is drawn if they are there as they would be drawn."""
    where = names.place_of_page(judged.store, judged.plan)
    if not judged.again and drawn_in(judged.kept, judged.folder) and f"{where}{PAGE}" in judged.kept.page:
        return judged.folder / f"{where}{PAGE}"
    label = names.label(judged.store, judged.plan)
    replays = {j.claim.id: names.replay(judged.store, label, judged.document, j.where) for j in judged.judgements if j.where}
    siblings = _siblings(judged.name)  # listed from their files, which are no source of these verdicts
    with sources.listening():
        drawn = _drawn(judged)
        page = report.study_page(
            name=judged.name,
            statement=judged.statement,
            data=judged.data,
            judgements=judged.judgements,
            figures=[shown for shown, _ in drawn],
            document=judged.document,
            label=label,
            again=names.again(judged.store, judged.plan, judged.document),
            replays={claim: command for claim, command in replays.items() if command},
            weighed=_weighed(judged),
            replay=_replay(judged, label),
            bibliography=catalogue.bibliography(judged.entry),
            laboratory=laboratory(),
            up="../" * (judged.name.count("/") + 1 + where.count("/")),
            siblings=siblings,
            edited=judged.kept.edited,
        )
    files = {f"{where}{PAGE}": page.encode()}
    for shown, png in drawn:
        beside = f"{where}figures/{shown.figure.id}"
        files |= {f"{beside}.svg": shown.svg, f"{beside}.png": png, f"{beside}.csv": shown.numbers.csv(judged.name).encode()}
    for name, content in files.items():
        write_page(judged.folder / name, content)
    made = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    judged.keep(page={} if judged.not_drawn else made)
    return judged.folder / f"{where}{PAGE}"


def _documents(out: FilePath, papers: Sequence[str]) -> Mapping[str, str]:
    """The papers' pages among the documents, from a folder of results in the same checkout: they are moved together."""
    root = Path(__file__).resolve().parent.parent
    if not is_local(out) or root not in Path(out).resolve().parents or not (root / "docs").is_dir():
        return {}
    pages = {paper: root / "docs" / "papers" / f"{paper}.md" for paper in papers} | {"": root / "docs"}
    return {name: os.path.relpath(page, Path(out).resolve()) for name, page in pages.items() if page.exists()}


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
                edited=kept.edited if kept else "",
            )
        )
    known_names = {entry.name.partition("@")[0] for entry in listed}
    papers = list(dict.fromkeys(name.partition("/")[0] for name in known_names if "/" in name))
    missing = [entry.name for entry in catalogue.entries() if entry.paper in papers and entry.name not in known_names]
    write_page(out / report.INDEX, report.index_page(listed, missing, _documents(out, papers)))
    return out / report.INDEX
