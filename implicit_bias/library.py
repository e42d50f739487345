"""What a folder of results holds, by the words of a command: STUDY, STUDY@NAME, PAPER, a folder, a plan file."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence

from . import catalogue
from ._errors import Mistake, written_bytes
from ._files import FilePath, is_local, place
from .evidence import verdicts
from .sweep.ask import names
from .sweep.ask.document import read_plan
from .sweep.ask.names import plan_of
from .sweep.keep.store import Store
from .sweep.work.journal import SILENT, Journal

PAGE = "report.html"

class NoResults(Mistake):
    """A study was never run in a folder."""


Found = tuple[str, FilePath]
"""A study as `catalogue.find` knows it, and a plan file of it."""


def studies_in(out: FilePath) -> list[Found]:
    """(study, results folder) of all that a folder holds: studies with short names, then those of a user's own files."""
    entries = catalogue.entries()
    known = [(entry.name, out / entry.name) for entry in entries if _holds(out / entry.name)]
    seen = {str(folder) for _, folder in known}
    own = sorted({p.parent for depth in ("*", "*/*") for p in out.glob(f"{depth}/plans")}) if is_local(out) else []
    return known + [(_study_of(folder, entries), folder) for folder in own if str(folder) not in seen and _holds(folder)]


def found(targets: Sequence[str], out: FilePath) -> list[Found]:
    """The plan file of each target; of every study with results where nothing is named."""
    if not targets:
        there = [(name, plan_of(folder, name)[1]) for name, folder in studies_in(out)]
        if not there:
            raise Mistake("out", f"{out} holds no results", "`implicit-bias reproduce` makes them")
        return there
    return [one for target in targets for one in _meant(target, out)]


def one(target: str, out: FilePath) -> Found:
    """The plan file of a target that is one result."""
    (first, *more) = found([target], out)
    if more:
        raise Mistake("RESULT", f"{target} names several studies", "name one of them")
    return first


def _meant(target: str, out: FilePath) -> list[Found]:
    path = place(target)
    if _holds(path) or (path.suffix == ".json" and path.is_file()):
        plan = plan_of(path)[1]
        return [(_study_of(plan, catalogue.entries()), plan)]
    text, wanted = names.target(target)
    folder = place(text)
    if wanted and _holds(folder):
        plan = names.meant(Store(folder), wanted, text)
        return [(_study_of(plan, catalogue.entries()), plan)]
    there = [(study, folder) for study, folder in _studies(text, out, wanted is None) if _holds(folder)]
    if not there:
        raise NoResults("RESULT", f"{text} has no results in {out}", f"`implicit-bias run {text}` makes them")
    return [(study, names.meant(Store(folder), wanted, text) or plan_of(folder, text)[1]) for study, folder in there]


def _studies(text: str, out: FilePath, several: bool) -> list[Found]:
    """(study, results folder) of the studies that are meant."""
    try:
        entries = catalogue.expand([text]) if several else [catalogue.find(text)]
    except Mistake:  # a study of the user's own file, by the name of its results
        own = [(study, folder) for study, folder in studies_in(out) if text == folder.name]
        if not own:
            raise
        return own
    return [(entry.name if "/" in entry.name else str(entry.path), out / entry.name) for entry in entries]


def folder_of(plan: FilePath) -> FilePath:
    """The study's results folder of a plan file."""
    return plan.parent.parent


def _holds(folder: FilePath) -> bool:
    return (folder / "plans").is_dir()


def _study_of(path: FilePath, entries: Sequence[catalogue.Entry]) -> str:
    """The study that made a results folder, as its plan tells."""
    document = read_plan(plan_of(path)[1])
    name, file = document["study"], document.get("file")
    ours = any((entry.name, str(entry.path)) == (name, file) for entry in entries)
    return name if ours or not file else file


def remove(target: str, out: FilePath, tiles: bool) -> str:
    """Drop the name of STUDY@NAME; with `tiles` its plan, its page and each tile that no other plan holds. What was done."""
    study, wanted = names.target(target)
    if wanted is None:
        how = f"write {target}@NAME; `implicit-bias status {target}` lists them"
        raise Mistake("RESULT", f"{target!r} names no result of a study", how)
    ((_, plan),) = _meant(target, out)
    store = Store(folder_of(plan))
    if any(silence <= SILENT for _, silence in Journal(store).workers()):
        raise Mistake("RESULT", f"workers compute in {store.folder}", "wait for them, or `implicit-bias cancel` them first")
    file = store.folder / "names" / f"{wanted}.json"
    own = (read_plan(plan).get("request") or {}) | {"study": None} == {"settings": {}, "size": wanted, "study": None}
    if not tiles and (own or not file.is_file()):
        what = f"{target} has no name to drop" if not own else f"{wanted!r} is what the study's own grid is called"
        raise Mistake("RESULT", what, "write --tiles to remove the result itself")
    pages = store.folder / names.place_of_page(store, plan)
    others = [name for name, of in names.named(store).items() if of.name == plan.name and name != wanted]
    if others and not file.is_file():
        raise Mistake("RESULT", f"{target} is what {study}@{others[0]} means", f"name that: {study}@{others[0]}")
    if file.is_file():
        file.unlink()
    if others:
        return f"{study} has no result {wanted!r} any more; its runs are those of {study}@{others[0]}, and stay"
    _remove_page(pages)
    if not tiles:
        return f"{study} has no result {wanted!r} any more; its runs are kept as @{plan.stem[:9]}"
    return _remove_tiles(store, plan)


def _remove_page(folder: FilePath) -> None:
    """A page and its figures, which are made from the rest; its folder, too, if nothing else is in it."""
    if is_local(folder):
        (folder / PAGE).unlink(missing_ok=True)
        shutil.rmtree(folder / "figures", ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_tiles(store: Store, plan: FilePath) -> str:
    kept = {name for other in names.plans(store) if other.name != plan.name for name in _tiles(other)}
    gone = [store.path(name) for name in sorted(_tiles(plan) - kept) if store.has(name)]
    freed = sum(path.stat().st_size for path in gone)
    verdicts.path_of(plan).unlink(missing_ok=True)
    plan.unlink()  # before its tiles: a plan that names what is gone would ask for it again
    for path in gone:
        path.unlink(missing_ok=True)
    return f"removed {plan.stem} and {len(gone)} tile{'s' * (len(gone) != 1)} that no other result holds, {written_bytes(freed)}"


def _tiles(plan: FilePath) -> set[str]:
    return {name for tiles in read_plan(plan)["tiles"] for name in tiles}
