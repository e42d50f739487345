"""The command `refine STUDY WHAT over=x,y to=1%`: a summary, a table and a drawing."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from .. import catalogue
from .._errors import Mistake
from .._files import RESULTS, place, whole
from ..progress import progress
from ..request import _split
from ..session import guarded, start
from ..sweep.ask.grid import parse
from ..sweep.keep.store import Store

if TYPE_CHECKING:
    from .points import Tell

ENDINGS = (".csv", ".nc", ".png", ".svg", ".pdf")
OWN = ("over", "to")
"""Words of the command among the settings."""


def command(arguments: argparse.Namespace) -> int:
    words = _split(arguments.settings)
    what = arguments.what
    if what.partition("=")[0] in OWN:
        how = "write it after the study: a variable with a level, 'error<1e-3', or a claim's id"
        raise Mistake("WHAT", "is missing", how)
    if "over" not in words:
        raise Mistake("over", "is missing", "write over=scale, or over=scale,ratio")
    entry = catalogue.find(arguments.study)
    # from here on JAX is imported
    start()
    from .axes import names_of
    from .search import Wanted, percentage, prepared, search, summary

    over = names_of(words["over"])
    options = {n: getattr(arguments, n) for n in ("coarse", "check", "how", "theory", "accepts")}
    wanted = Wanted(over, percentage(words.get("to", "1%")), check_seed=arguments.seed, **options)
    settings = {n: t if n in over else parse(n, t) for n, t in words.items() if n not in OWN}
    set_here = [f"{n}={words[n]}" for n in settings if n not in over]
    files = _files(arguments.to, "-".join([entry.name, what, *set_here]))
    out = place(arguments.out)
    store = Store(out / entry.name)

    def act() -> xr.Dataset:
        study = catalogue.load(entry)
        points, asked, rule = prepared(study, what, wanted, settings, arguments.size, store, tell=_bars(entry.name))
        return search(points, asked, rule, wanted)

    try:
        ds = guarded(entry, act)
    except KeyboardInterrupt:
        print(f"interrupted: what is done is kept in {store.folder}; go on with: {_again(arguments)}", file=sys.stderr)
        return 130
    print(summary(ds))
    for path in files:
        write(ds, path)
        print(path)
    return 0


def _bars(name: str) -> Tell:
    """Progress of each step of the search that lacks runs."""
    steps = itertools.count(1)
    return lambda runs, missing: progress(f"{name} step {next(steps)}", runs, missing)


def _files(given: Sequence[Path], name: str) -> list[Path]:
    """Where to write: a table and a drawing in the current folder, unless files are named."""
    for sign, words in (("<=", "-at-most-"), (">=", "-at-least-"), ("<", "-below-"), (">", "-above-")):
        name = name.replace(sign, words)
    stem = re.sub(r"[^\w.]+", "-", name).strip("-")
    files = list(given) or [Path(f"{stem}-boundary{ending}") for ending in (".csv", ".png")]
    for path in files:
        if path.suffix not in ENDINGS:
            raise Mistake("to", f"{path} has no ending that is known", f"write --to FILE{', '.join(ENDINGS)}")
        if not path.absolute().parent.is_dir():
            raise Mistake("to", f"there is no folder {path.parent}", "make it, or choose another file with --to")
    return files


def write(ds: xr.Dataset, path: Path) -> None:
    """All of it (.nc), the boundary alone (.csv, a row a crossing), or a drawing."""
    try:
        with whole(path) as here:
            if path.suffix == ".nc":
                ds.to_netcdf(here)
            elif path.suffix == ".csv":
                table = ds[[n for n in ds.data_vars if ds[n].dims == ("crossing",)]].to_dataframe()
                table.to_csv(here, index=False)
            else:
                from .drawing import draw

                draw(ds, here)
    except OSError as error:
        what = f"cannot write {path} ({error.strerror or error})"
        raise Mistake("to", what, "choose another file with --to") from None


def _again(arguments: argparse.Namespace) -> str:
    """What a user types to go on."""
    typed = ["implicit-bias", "refine", arguments.study, arguments.what, *arguments.settings]
    for name in ("size", "coarse", "check", "seed", "how", "theory", "accepts", "out"):
        value = getattr(arguments, name)
        if value not in (None, {"size": "laptop", "coarse": 8, "seed": 0, "out": RESULTS}.get(name)):
            typed += [f"--{name}", str(value)]
    typed += ["--to", *map(str, arguments.to)] * bool(arguments.to)
    return shlex.join(typed)
