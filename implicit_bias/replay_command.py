"""The command `replay STUDY[@NAME] name=value ...`: a table, a comparison with the original, and a file."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from . import catalogue
from ._errors import Mistake, nearest
from ._files import FilePath, place, whole
from .evidence.figures import WIDTH
from .evidence.figures.base import house_style
from .library import NoResults, one
from .replay import Place, kept, replayed
from .request import parsed
from .session import guarded, start
from .sweep.keep.dataset import stops, until_stopped

MOST_PANELS = 12
SHOWN = 12
"""Records of the table on the terminal."""


def scalars(ds: xr.Dataset) -> list[str]:
    """What has one number a record."""
    return [str(v) for v in ds.data_vars if ds[v].dims == ("record",) and v != "clock"]


def table(ds: xr.Dataset) -> str:
    """Some records until the run ended, of what has one number each: the loss first, as many as there is room for."""
    named = sorted(scalars(ds), key=lambda n: n != "loss")
    wide = {n: max(13, len(n)) for n in ("clock", *named)}
    shown = [n for k, n in enumerate(wide) if sum([*wide.values()][: k + 1]) + 2 * k <= 98]
    ds = until_stopped(ds)
    last = int((ds.clock < float(stops(ds))).sum())  # the first record that is not before the end
    rows = sorted({*np.linspace(0, min(last, ds.sizes["record"] - 1), SHOWN).round().astype(int).tolist()})
    lines = ["  " + "  ".join(f"{n:>{wide[n]}}" for n in shown)]
    lines += ["  " + "  ".join(f"{float(ds[n][k]):{wide[n]}.7g}" for n in shown) for k in rows]
    until = min(last + 1, ds.sizes["record"])
    lines += [f"  ({len(rows)} of its {until:,} records until it ended; --to FILE.csv holds all)"] * (len(rows) < until)
    return "\n".join(lines)


def draw(ds: xr.Dataset, original: xr.Dataset | None, title: str, path: Path) -> None:
    """Every number of the run against its clock, with the records of the original as points."""
    shown = scalars(ds)[:MOST_PANELS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    ds, original = until_stopped(ds), None if original is None else until_stopped(original)  # the end has its own moment
    with house_style() as plt:
        drawing, panels = plt.subplots(rows, columns, figsize=(WIDTH, 2.2 * rows + 0.4), squeeze=False, layout="constrained")
        for axes, name in zip(panels.flat, shown):
            values = ds[name]
            axes.plot(ds.clock, values, lw=1)
            if original is not None and name in original:
                axes.plot(original.clock, original[name], ".", ms=4, color="0.3")
            positive = bool((values > 0).any() and values.min() > 0 and values.max() > 100 * values.min())
            axes.set(xlabel=ds.clock.attrs.get("units", "steps"), ylabel=name, yscale="log" if positive else "linear")
        for axes in panels.flat[len(shown) :]:
            axes.set_axis_off()
        drawing.suptitle(title)
        drawing.savefig(path)
        plt.close(drawing)


def _observable(word: str) -> tuple[str, Any]:
    """FILE:NAME as (NAME, the observable)."""
    file, colon, name = word.rpartition(":")
    if not colon or not Path(file).is_file():
        raise Mistake("observe", f"{word!r} is no FILE:NAME", "name a Python file that is there, and what it defines")
    spec = importlib.util.spec_from_file_location(f"_observed_{Path(file).stem}", file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Mistake("observe", catalogue.blame(error, Path(file).resolve().parent), f"mend {file}") from error
    if not hasattr(module, name):
        defined = [n for n in vars(module) if not n.startswith("_")]
        raise Mistake("observe", f"{file} defines no {name!r}", nearest(name, defined))
    return name, getattr(module, name)


def command(arguments: argparse.Namespace) -> None:
    """`replay STUDY[@NAME] name=value ...`."""
    where = parsed(arguments.settings)
    endings = (".png", ".svg", ".pdf", ".nc", ".csv")
    if arguments.every is not None and arguments.every <= 0:
        raise Mistake("every", f"must be above 0, got {arguments.every:g}", "write --every 1 for each step")
    keep = kept(arguments.keep)
    name, plan = _result(arguments.study, place(arguments.out))
    entry = catalogue.find(name)
    path = arguments.to or Path(f"{entry.name.replace('/', '-')}-replay.png")
    if path.suffix not in endings:
        raise Mistake("to", f"{path} has no ending that is known", f"write --to FILE{', '.join(endings)}")
    start()
    observe = keep | dict(map(_observable, arguments.observe))

    def act() -> tuple[xr.Dataset, xr.Dataset | None, Place, str]:
        study = catalogue.load(entry)
        return replayed(study, plan, where, arguments.every, observe)

    ds, original, run, said = guarded(entry, act)
    title = ", ".join([entry.name, *(f"{n}={v:g}" if isinstance(v, float) else f"{n}={v}" for n, v in run.words.items())])
    print(title)
    print(table(ds))
    print(said)
    _write(ds, original, title, path)
    print(path)


def _result(target: str, out: FilePath) -> tuple[str, FilePath | None]:
    """(study, the plan that a run is taken from); None where a study has no results, so that any run of it is new."""
    try:
        return one(target, out)
    except NoResults:
        return target, None


def _write(ds: xr.Dataset, original: xr.Dataset | None, title: str, path: Path) -> None:
    try:
        with whole(path) as here:
            if path.suffix == ".nc":
                ds.to_netcdf(here)
            elif path.suffix == ".csv":
                until_stopped(ds)[["clock", *scalars(ds)]].to_dataframe().to_csv(here)
            else:
                draw(ds, original, title, here)
    except OSError as error:
        raise Mistake("to", f"cannot write {path} ({error.strerror or error})", "choose another file with --to") from None
