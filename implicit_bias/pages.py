"""A study's page with its drawings, and the index of all studies: written from results, and not again while true."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence

from . import catalogue, sources
from ._files import FilePath
from .evidence import report
from .evidence.figures import Figure, render
from .evidence.page import write_page
from .session import Judged, drawn_in, newest_verdicts

PAGE = "report.html"


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
    if not judged.again and drawn_in(judged.kept, judged.folder):
        return judged.folder / PAGE
    with sources.listening():
        drawn = _drawn(judged)
        page = report.study_page(
            name=judged.name,
            statement=judged.statement,
            data=judged.data,
            judgements=judged.judgements,
            figures=[(figure, svg) for figure, svg, _ in drawn],
            document=judged.document,
        )
    files = {PAGE: page.encode()}
    for figure, svg, png in drawn:
        files |= {f"figures/{figure.id}.svg": svg, f"figures/{figure.id}.png": png}
    for name, content in files.items():
        write_page(judged.folder / name, content)
    made = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    judged.keep(page={} if judged.not_drawn else made)
    return judged.folder / PAGE


def write_index(out: FilePath, known: Sequence[Judged] = ()) -> FilePath:
    """`index.html` over every study that has results in `out`, from the files of their verdicts: none is judged for it.

    Where those are not true of its results and its code any more, or not there, the index says so.
    """
    judged_now = {judged.name: judged.kept for judged in known}
    listed = []
    for entry in catalogue.entries():
        folder = out / entry.name
        if entry.name not in judged_now and not (folder / "plans").is_dir():
            continue
        kept = judged_now.get(entry.name) or newest_verdicts(entry, folder)
        drawings = [n for n in (kept and kept.page) or () if n.endswith(".svg") and (folder / n).is_file()]
        listed.append(
            report.Entry(
                name=entry.name,
                statement=entry.docstring.strip(),
                href=f"{entry.name}/{PAGE}",
                runs=kept.runs if kept else 0,
                judgements=kept.judgements if kept else None,
                thumbnail=(folder / drawings[0]).read_text(errors="replace") if drawings else None,
            )
        )
    write_page(out / "index.html", report.index_page(listed))
    return out / "index.html"
