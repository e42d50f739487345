"""Names of results: which plan of a study's folder is meant by STUDY, and by STUDY@NAME.

    <folder>/names/<NAME>.json      {"plan": "<digest>"}

The study's own grid is the result of its size's name, `laptop`; `run --as NAME` names another. What is asked for without a
name is an exploration: its plan is kept, dated and listed under its digest, and never in the place of a result. So STUDY
means `laptop`; where that was never run, the newest other name; where there is none, the newest exploration.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping

from ..._errors import Mistake, nearest
from ..._files import RESULTS, FilePath, listed, make_folder, modified, place, put, read
from ..keep.store import Store
from .document import LAPTOP, Document, command, read_plan

AT = "at"
"""Folder of the pages of results that are not `laptop`."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_FEWEST = 4
"""Letters of a digest that stand for it."""


def checked(name: str) -> str:
    """A name for a result, or a mistake."""
    if not _NAME.fullmatch(name):
        raise Mistake("as", f"{name!r} is no name of a result", "use letters, digits, '-', '_' and '.', a letter first")
    return name


def give(store: Store, name: str, plan: FilePath) -> None:
    """From now on the name means this plan."""
    folder = store.folder / "names"
    make_folder(folder)
    put(folder / f"{checked(name)}.json", json.dumps({"plan": plan.stem}).encode())


def refuse_another(store: Store, name: str, study: str, same: Callable[[Document], bool]) -> None:
    """A name is given once: that it is the result of something else is a mistake."""
    taken = named(store).get(checked(name))
    if taken and not same(document := read_plan(taken)):
        how = f"choose another name, or `implicit-bias rm {study}@{name}` first"
        raise Mistake("as", f"{name!r} is the result of {asked(document) or 'the grid of the study itself'}", how)


def named(store: Store) -> dict[str, FilePath]:
    """Name -> plan file, of names whose plan is there: the study's own grid first, then as they were given."""
    files = sorted(listed(store.folder / "names", ".json"), key=lambda p: (p.stem != LAPTOP, modified(p), p.stem))
    found = {}
    for file in files:
        try:
            plan = store.plans / f"{json.loads(read(file, 2**12))['plan']}.json"
        except Exception:
            how = f"remove it, or `run` the study with `--as {file.stem}`"
            raise Mistake("path", f"{file} is no name of a result", how) from None
        if plan.parent == store.plans and plan.is_file():
            found[file.stem] = plan
    return found if LAPTOP in found else _of_own_grids(store) | found


def _of_own_grids(store: Store) -> dict[str, FilePath]:
    """Results of a version that gave no names: the newest plan of the study's own grid, for each size."""
    found = {}
    for when, plan in sorted(((modified(p), p) for p in plans(store)), key=lambda one: (one[0], one[1].name)):
        request = _request(plan, when)
        if request is not None and not request["settings"]:
            found[request["size"]] = plan
    return {name: found[name] for name in sorted(found, key=lambda n: n != LAPTOP) if _NAME.fullmatch(name)}


@functools.lru_cache(maxsize=4096)
def _request(plan: FilePath, when: float) -> Mapping | None:
    """What a plan file asks for, read once for each time that it is written."""
    del when
    try:
        return read_plan(plan).get("request")
    except Mistake:  # whoever opens it will be told
        return None


def plans(store: Store) -> list[FilePath]:
    return listed(store.plans, ".json")


def explorations(store: Store) -> list[FilePath]:
    """Plans without a name, the newest first."""
    known = {plan.name for plan in named(store).values()}
    return sorted((p for p in plans(store) if p.name not in known), key=lambda p: (modified(p), p.name), reverse=True)


def label(store: Store, plan: FilePath) -> str:
    """The name of a plan, or its digest."""
    return next((name for name, file in named(store).items() if file.name == plan.name), plan.stem)


def place_of_page(store: Store, plan: FilePath) -> str:
    """The folder of a plan's page, from the study's folder, with its slash: that of `laptop` is the study's own."""
    said = label(store, plan)
    return "" if said == LAPTOP else f"{AT}/{said}/"


def meant(store: Store, wanted: str | None = None, study: str = "STUDY") -> FilePath | None:
    """The plan of a name or a digest; of the study itself where nothing is wanted, None where it has no plan."""
    known = named(store)
    if wanted is None:
        return known.get(LAPTOP) or next(iter([*reversed(known.values()), *explorations(store)]), None)
    if wanted in known:
        return known[wanted]
    alike = [p for p in plans(store) if len(wanted) >= _FEWEST and p.stem.startswith(wanted)]
    if len(alike) == 1:
        return alike[0]
    what = f"{study} has no result {wanted!r}" if not alike else f"{wanted!r} begins several results of {study}"
    raise Mistake("RESULT", what, nearest(wanted, [*known, *(p.stem for p in explorations(store))]))


def plan_of(path: FilePath, name: str = "STUDY") -> tuple[Store, FilePath]:
    """(store, plan file) of a plan file, or of what a study's results folder means."""
    if path.is_file():
        return Store(path.parent.parent), path
    store = Store(path)
    plan = meant(store)
    if plan is None:
        raise Mistake("path", f"{path} holds no results", f"`implicit-bias run {name}` makes them")
    return store, plan


def target(text: str) -> tuple[str, str | None]:
    """STUDY@NAME as (STUDY, NAME); an address with a user in it is none.

    >>> target("me/lemma@fine"), target("me/lemma"), target("s3://me@there/results/lemma")
    (('me/lemma', 'fine'), ('me/lemma', None), ('s3://me@there/results/lemma', None))
    """
    study, at, name = text.rpartition("@")
    return (study, name) if at and "/" not in name else (text, None)


def asked(document: Document) -> str:
    """The words of a request, for a list of results; "" where they are the study's own."""
    request = document.get("request") or {"settings": document.get("settings", {}), "size": LAPTOP}
    words = [f"{k}={v}" for k, v in request["settings"].items()]
    return " ".join(words + [f"--size {request['size']}"] * (request["size"] != LAPTOP))


def again(store: Store, plan: FilePath, document: Document) -> str | None:
    """The command that asks for a plan's runs; None where they were asked for in Python."""
    request = document.get("request")
    if request is None:
        return None
    said = label(store, plan)
    name = said if said not in (plan.stem, request["size"]) else None
    return command(_typed(document), request["settings"], request["size"], _out(store, document), name)


def replay(store: Store, said: str, document: Document, where: Mapping[str, object]) -> str | None:
    """The command that runs one run of a plan again, alone: of the result that is called so, by its name or its digest.

    None as for `again`, and where several runs are meant.
    """
    several = [{a for a in grid["order"] if len(grid["axes"][a]["values"]) > 1} for grid in document["grids"]]
    if document.get("request") is None or not any(axes <= {*where} for axes in several):
        return None
    study = _typed(document) + f"@{said}" * (said != LAPTOP)
    at = {k: v if isinstance(v, str) else repr(v) for k, v in where.items() if k != "record"}
    return command(study, at, LAPTOP, _out(store, document), verb="replay")


def _typed(document: Document) -> str:
    return document["request"].get("study") or document["study"]


def _out(store: Store, document: Document) -> str:
    """The folder of all results, of which the store is one study's."""
    return str(store.folder).removesuffix(document["study"]).removesuffix("/") or RESULTS


def place_of(path: FilePath | str) -> FilePath:
    """A folder or plan file, as given; STUDY is its folder among the results here, FOLDER@NAME a plan of that name."""
    if not isinstance(path, str) or place(path).exists():
        return place(path)
    where, name = target(path)
    here = place(RESULTS) / where
    folder = here if not place(where).exists() and (here / "plans").is_dir() else place(where)
    return folder if name is None else meant(Store(folder), name, where)
