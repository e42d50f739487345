"""nan, inf and 1e38 in one lane of a block: its start, its step, its ratio, at each position.

The other lanes have, bit for bit, what they have in a block without poison; the poisoned one ends with a status. In a
study the poisoned runs are rows like all others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from implicit_bias.sweep.work.checkpoint import Segments

from .common import Outcome, Tally

WIDTH = 8
STARTS = np.linspace(0.1, 2.2, WIDTH)
POISONS = (float("nan"), float("inf"), -float("inf"), 1e38, -1e308, 5e-324)
STEPS = 60
QUICK = 3
"""Laws that are poisoned however few tries are asked for; the rest where more are."""


def laws() -> dict[str, tuple[Callable, str, int]]:
    """name -> (dynamics of step, ratio and stop rule; word of the parameterization; lanes that share a seed)."""
    import implicit_bias as ib

    def descent(**more):
        return lambda step, ratio: Reckless(step, ratio=ratio, max_steps=STEPS, **more)

    class Reckless(ib.Descent):
        """Asks nothing of its step."""

        def requirements(self, parameterization, theta):
            return super().requirements(parameterization, theta) if isinstance(parameterization, ib.Euclidean) else {("a", "b", "c"): True}

    class RecklessFlow(ib.Flow):
        def requirements(self, parameterization, theta):
            return {("a", "b", "c"): True}

    stop = ib.loss_below(1e-3)
    flow = lambda step, ratio: RecklessFlow(0.5, ratio=ratio, max_steps=400, rtol=1e-6, atol=1e-9)  # it has no step
    return {
        "gd": (descent(), "gd", WIDTH),
        "wn, stopped": (descent(stop=stop), "wn", WIDTH),
        "flow of wn": (flow, "wn", WIDTH),
        "rpgd": (descent(), "rpgd", WIDTH),
        "gd, stopped": (descent(stop=stop), "gd", WIDTH),
        "wn, lanes mix seeds": (descent(), "wn", 2),
        "heavy ball": (descent(law=ib.heavy_ball(0.5)), "gd", WIDTH),
        "Adam": (descent(law=ib.adam()), "gd", WIDTH),
        "clipped": (descent(law=ib.clipped(1.0)), "wn", WIDTH),
        "wn with a bound": (descent(bound=1e3, stop=stop), "wn", WIDTH),
        "flow of gd": (flow, "gd", WIDTH),
    }


def study(law: Callable, word: str, each: int):
    """A study whose starts, steps and ratios may be any numbers."""
    import implicit_bias as ib

    kinds = {"gd": ib.Euclidean, "wn": ib.Polar, "rpgd": ib.Sphere}
    reckless = type("Reckless", (kinds[word],), {"requirements": lambda self: {}})

    def cell(*, start, step, key, ratio=1.0):
        return ib.Run(ib.linear.gaussian(3, 7, target_norm=2.0)(key), reckless(start), law(step, ratio))

    axes = dict(seed=range(WIDTH // each), start=[float(s) for s in STARTS[:each]], step=[0.05])
    return ib.Study(
        cell=cell,
        grids=ib.grid(**axes, **({} if word == "gd" else {"ratio": [0.5]})),
        facts={"g_star": ib.min_norm_size},
        observe={"x": ib.predictor(), "norm": ib.norm(2), "w": ib.orthogonal_size},
        records=ib.log_records(4),
    )


def attack(count: int, seed: int, folder: Path) -> Outcome:
    from . import jaxed

    jaxed.start()
    tally = Tally(seed)
    known = laws()
    for number, name in enumerate(known):
        if tally.tried >= count and number >= QUICK:
            break
        made = study(*known[name])
        for segment in (None, 7.0):
            _blocks(tally, name, made, segment)
        with tally.one(f"{name}, whole"):
            _whole(tally, name, made, folder / name)
    return tally.outcome()


def _blocks(tally: Tally, name: str, made, segment: float | None) -> None:
    """Every position, every poison, every axis of one program."""
    import jax

    plan = made.plan(width=WIDTH)
    (batch,) = plan.batches
    program, device = batch.program, jax.local_devices()[0]
    with jax.enable_x64(True):
        seeds = [np.asarray(s) for s in made.grids[0].axes["seed"]]
        first = [program.first([s], device) for s in seeds]
        shared = [np.repeat(np.stack(r), WIDTH // len(seeds), 0) for r in zip(*first)] if len(seeds) > 1 else first[0]
        clean = [batch.coordinates[:, batch.traced_axes.index(a)].copy() for a in program.traced.lanes]
        good = _launched(program, shared, clean, device, segment)
        axes = [k for k, a in enumerate(program.traced.lanes) if not (a == "step" and "flow" in name)]
        for axis, poison, position in itertools.product(axes, POISONS, range(WIDTH)):
            lanes = [c.copy() for c in clean]
            lanes[axis][position] = poison
            said = f"{name}, segments of {segment}: {program.traced.lanes[axis]} = {poison} in lane {position}"
            with tally.one(said):
                spoiled = _launched(program, shared, lanes, device, segment)
                others = [i for i in range(WIDTH) if i != position]
                changed = [k for k in good if good[k][others].tobytes() != spoiled[k][others].tobytes()]
                tally.check(not changed, f"{said}: other lanes have other {changed}")
                starts_as_nan = np.isnan(poison) and program.traced.lanes[axis] == "start"
                _has_ended(tally, int(spoiled["status"][position]), poison, starts_as_nan, said)


def _has_ended(tally: Tally, status: int, poison: float, starts_as_nan: bool, said: str) -> None:
    from implicit_bias import Status

    ended = set(Status) - {Status.ABSENT, Status.RUNNING} - ({Status.CONVERGED} if np.isnan(poison) else set())
    tally.check(status in ended, f"{said}: its status is {status}")
    tally.check(status == Status.DIVERGED or not starts_as_nan, f"{said}: it is {Status(status).label}")


def _launched(program, shared, lanes, device, segment) -> dict[str, np.ndarray]:
    outputs, _ = program.launch(shared, lanes, device, None if segment is None else Segments(segment))
    return {name: np.array(a) for name, a in outputs.items()}


def _starts(each: int, poisons: tuple[float, ...]) -> Iterator[float]:
    yield from (float(s) for s in STARTS[: each - len(poisons)])
    yield from poisons


def _whole(tally: Tally, name: str, made, folder: Path) -> None:
    """From the plan to the table: runs among poisoned ones, and among others."""
    import implicit_bias as ib

    each, poisons = len(made.grids[0].axes["start"]), POISONS[:1] + POISONS[3:4]
    poisons = poisons if each > 2 else poisons[:1]
    data = made.run(out=folder / "spoiled", width=WIDTH, start=list(_starts(each, poisons)))
    calm = made.run(out=folder / "calm", width=WIDTH, start=[float(s) for s in STARTS[:each]])
    kept = each - len(poisons)
    for variable in data.data_vars:
        one, other = (
            d[variable].isel(start=slice(kept)) if "start" in d[variable].dims else d[variable] for d in (data, calm)
        )
        tally.check(one.values.tobytes() == other.values.tobytes(), f"{name}: calm runs have other {variable}")
    ended = data.status.isel(start=slice(kept, None)).values.ravel()
    tally.check((ended != ib.Status.ABSENT).all(), f"{name}: a poisoned run is absent")
    frame = ib.to_dataframe(data)
    rows = data.status.size
    tally.check(len(frame) == rows and (frame.status == "diverged").any(), f"{name}: {len(frame)} rows for {rows} runs")
