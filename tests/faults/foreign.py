"""Results of another machine, library, program or plan; and edits of everything that a study file says.

What the bits depend on makes other tiles: refused with the remedy, or computed anew. What they do not depend on
computes nothing. Tiles that are there stay as they are, byte for byte.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

from implicit_bias.sweep.keep.store import Store, Tile

from .common import Outcome, Tally, replaced

WIDTH = 8
RUNS = 24


def attack(count: int, seed: int, folder: Path) -> Outcome:
    from tests.sweep.laboratory import study

    from . import jaxed

    jaxed.start()
    tally = Tally(seed)
    study().run(out=folder / "pool", width=WIDTH)
    cases = {**_foreign(), **_edits()}
    while tally.tried < count:
        for name, case in cases.items():
            copy = Path(shutil.copytree(folder / "pool", folder / f"copy-{tally.tried}"))
            before = _tiles(copy)
            with tally.one(name), warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                wrong = case(copy, [said])
                tally.check(not wrong, f"{name}: {wrong}")
                after = _tiles(copy) | {p.name: p.read_bytes() for p in copy.glob("damaged/*")}
                tally.check(before.items() <= after.items() or "tile" in name, f"{name}: a tile has changed")
            shutil.rmtree(copy)
    return tally.outcome()


def _tiles(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.glob("tiles/*")}


def _missing(folder: Path, **changes) -> int:
    from tests.sweep.laboratory import study

    return study(**changes).plan(store=Store(folder), width=WIDTH).missing


@functools.cache
def _plan():
    """The plan of the study as it is, against no store: tracing takes most of the time of a plan."""
    from tests.sweep.laboratory import study

    return study().plan(width=WIDTH)


def _looked_up(folder: Path, **marks: str) -> int:
    """Runs that are missing of that plan, for a process of these marks."""
    from implicit_bias.sweep.ask import plan as planning

    batches = [dataclasses.replace(b, found={}) for b in _plan().batches]
    plan = dataclasses.replace(_plan(), batches=batches, fingerprint={**_plan().fingerprint, **marks})
    planning._look_up(plan, Store(folder))
    return plan.missing


# -- tiles of others ---------------------------------------------------------------------------------------------------


def _foreign() -> dict[str, Callable]:
    from implicit_bias.sweep.ask import plan as planning

    marks = planning.fingerprint()

    def another(mark: str) -> Callable:
        """This process is another machine: what is there is refused, and nothing is computed."""

        def case(folder: Path, said) -> str:
            return _refused(lambda: _looked_up(folder, **{mark: "other"}), f"another fingerprint ({mark} ")

        return case

    def changed(what: str, change: Callable[[Tile], Tile], missing: int) -> Callable:
        """A tile in good order, and under its own name, of something else."""

        def case(folder: Path, said) -> str:
            store = Store(folder)
            tile = store.read(store.names()[0])
            store.path(tile.id).unlink()
            store.write(change(tile))
            if what:
                return _refused(lambda: _looked_up(folder), what)
            return "" if (found := _looked_up(folder)) == missing else f"{found} runs are missing"

        return case

    def under_the_name_of_ours(change: Callable[[Tile], Tile]) -> Callable:
        def case(folder: Path, said) -> str:
            store = Store(folder)
            tile = store.read(store.names()[0])
            new = store.write(change(tile))
            store.path(tile.id).write_bytes(store.path(new).read_bytes())
            store.path(new).unlink()
            missing = _looked_up(folder)
            told = any("belongs to another name" in str(w.message) and tile.id in str(w.message) for w in said[0])
            return "" if missing == WIDTH and told else f"{missing} missing, {told}"

        return case

    def with_marks(tile: Tile, **more: str) -> Tile:
        return dataclasses.replace(tile, fingerprint={**tile.fingerprint, **more})

    def with_program(tile: Tile) -> Tile:
        return dataclasses.replace(tile, program="0" * 64)

    def run_of_another_machine(folder: Path, said) -> str:
        from tests.sweep.laboratory import study

        with replaced(planning, "fingerprint", lambda: {**marks, "jaxlib": "0.0.1"}):
            wrong = _refused(lambda: study().run(out=folder, width=WIDTH), f"jaxlib {marks['jaxlib']} -> 0.0.1")
        return wrong or ("" if len(Store(folder).names()) == RUNS // WIDTH else "it has computed something")

    return {
        "a run of another library": run_of_another_machine,
        **{f"a process of another {mark}": another(mark) for mark in marks},
        "a tile of another library": changed(
            "another fingerprint (jaxlib 0.0.1 -> ", lambda t: with_marks(t, jaxlib="0.0.1"), 0
        ),
        "a tile of a new mark": changed("another fingerprint (news 1 -> ?", lambda t: with_marks(t, news="1"), 0),
        "a tile of another program": changed("", with_program, WIDTH),
        "a tile of another library under the name of ours": under_the_name_of_ours(
            lambda t: with_marks(t, jax="0.0.1")
        ),
        "a tile of another program under the name of ours": under_the_name_of_ours(with_program),
        "a tile of other runs under the name of ours": under_the_name_of_ours(
            lambda t: dataclasses.replace(t, coordinates=t.coordinates + 1.0)
        ),
        "a tile of other axes under the name of ours": under_the_name_of_ours(
            lambda t: dataclasses.replace(t, axes=tuple(reversed(t.axes)))
        ),
    }


def _refused(act: Callable[[], object], words: str) -> str:
    """In words that say what differs and what to do."""
    import implicit_bias as ib

    try:
        act()
    except ib.Mistake as mistake:
        fine = words in str(mistake) and "--out" in str(mistake)
        return "" if fine else f"it is refused with: {mistake}"
    return "it is not refused"


# -- edits -------------------------------------------------------------------------------------------------------------


def _edits() -> dict[str, Callable]:
    import implicit_bias as ib
    from tests.sweep.laboratory import STEPS, cell

    def edited(expected: int, **changes) -> Callable:
        def case(folder: Path, said) -> str:
            found = _missing(folder, **changes)
            return "" if found == expected else f"{found} of {RUNS} runs are to be computed, {expected} should be"

        return case

    def other_words(*, scale, key, ratio):
        # the same program under other words
        weights, law = ib.Polar(scale), ib.Descent(2e-2, ratio=ratio, max_steps=STEPS)
        return ib.Run(ib.linear.gaussian(3, 7, target_norm=2.0)(key), weights, law)

    def helped(factor: float):
        def helper(scale):
            return factor * scale

        def with_helper(*, scale, key, ratio):
            run = cell(scale=scale, ratio=ratio, key=key)
            return ib.Run(run.problem, ib.Polar(helper(scale)), run.dynamics)

        return with_helper

    def defaults(**more):
        return lambda *, scale, key, ratio: cell(scale=scale, key=key, ratio=ratio, **more)

    claim = ib.Claim(id="new", source="", statement="", residual=lambda d: d.norm, tolerance=lambda d: 1, because="one")
    figure = ib.Figure(id="new", draw=lambda data: None, caption="")
    facts = {"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size}
    observe = {"norm": ib.norm(2), "x": ib.predictor(), "log_invariant": ib.log_invariant}
    return {
        "nothing": edited(0),
        "an edited claim": edited(0, claims=[claim]),
        "an edited figure": edited(0, figures=[figure]),
        "an edited statement": edited(0, statement="Other words."),
        "another name": edited(0, name="another"),
        "another size": edited(0, sizes={"paper": {"seed": range(200)}}),
        "a comment and other words": edited(0, cell=other_words),
        "an edited helper": edited(RUNS, cell=helped(2.0)),
        "an edited default": edited(RUNS, cell=defaults(step=3e-2)),
        "another size of the problem": edited(RUNS, cell=defaults(columns=8)),
        "another stop rule": edited(RUNS, cell=defaults(stop=1e-8)),
        "another law": edited(RUNS, cell=defaults(method="rpgd")),
        "an edited observable": edited(RUNS, observe={**observe, "norm": ib.norm(1)}),
        "an observable more": edited(RUNS, observe={**observe, "more": ib.norm(1)}),
        "a fact less": edited(RUNS, facts={"g_star": facts["g_star"]}),
        "other records": edited(RUNS, records=ib.log_records(6)),
        "another precision": _precision,
    }


def _precision(folder: Path, said) -> str:
    """float32 and float64 are told apart by the program, and by the fingerprint where it says so."""
    import implicit_bias as ib

    try:
        missing = _missing(folder, precision="float32")
    except ib.Mistake as mistake:
        return "" if "x64" in str(mistake) else str(mistake)
    return "" if missing == RUNS else f"{missing} runs are to be computed"
