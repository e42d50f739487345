"""The command `figure STUDY[@NAME] [FIGURE]`: a study's figures as files, for a paper. What it writes is a `Picture`."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from . import catalogue
from ._errors import Mistake, nearest
from ._files import place
from .evidence.figures import FORMATS, style_of
from .picture import Picture, figure_of

STYLE = "neurips"
"""Of the command: what is drawn for a paper is 8 pt at its width, whoever asks."""


def command(arguments: argparse.Namespace) -> None:
    """`figure STUDY[@NAME] [FIGURE] --style --width --format --to`: each path that was written."""
    from .library import one
    from .session import judge_folder
    from .sweep.ask import names

    style_of(arguments.style).inches(arguments.width, across=1)
    for format in arguments.format or ():
        if format not in FORMATS:
            raise Mistake("format", f"there is no {format!r}", nearest(format, FORMATS))
    judged = judge_folder(*one(arguments.target, place(arguments.out)))
    said = names.label(judged.store, judged.plan)
    told = judged.name + f"@{said}" * (said != names.LAPTOP)
    study = dataclasses.replace(judged.study, name=judged.name)
    ids = [arguments.figure] if arguments.figure else [figure.id for figure in study.figures]
    if not ids:
        raise Mistake("figure", f"{judged.name} has no figures", "give the study `figures=[...]`")
    how = arguments.style, arguments.width
    pictures = [figure_of(study, id, judged.data, judged.judgements, *how, told) for id in ids]
    for picture, to, formats in _targets(pictures, arguments.to, arguments.format, told):
        try:
            written = picture.save(to, *formats, grey=arguments.grey)
        except Mistake:
            raise
        except Exception as error:
            what = f"{picture.figure.id} cannot be drawn from these results ({catalogue.blame(error)})"
            raise Mistake("figure", what, "mend the figure in the study's file, or draw a result that has what it shows") from error
        print(*written, sep="\n")


def _targets(pictures: Sequence[Picture], to: Path | None, formats: Sequence[str] | None, told: str) -> list[tuple]:
    """(picture, file, formats): in the current folder, or in `to` where that is a folder; one figure may be named by it."""
    folder = to if to is not None and to.is_dir() else None
    if to is not None and folder is None:
        if len(pictures) > 1:
            how = f"name one of them first ({', '.join(p.figure.id for p in pictures)}), or a folder that is there"
            raise Mistake("to", f"{to} is one file, and there are {len(pictures)} figures", how)
        if to.suffix == ".csv" or (to.suffix[1:] not in FORMATS and to.suffix and not formats):
            raise Mistake("to", f"{to} has no ending that is known", f"write --to FILE.{', .'.join(FORMATS)}")
        return [(pictures[0], to, formats or ([to.suffix[1:]] if to.suffix else ["pdf"]))]
    head = told.replace("/", "-")
    return [(p, (folder or Path()) / f"{head}-{p.figure.id}", formats or ["pdf"]) for p in pictures]
